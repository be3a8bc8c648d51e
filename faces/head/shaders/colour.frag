#version 330
// Shades one fragment in linear light and writes a tone-mapped, premultiplied colour.
const int BODY = 0, EYES = 1, TEETH = 2, TONGUE = 3, BROW = 4, LASHES = 5, HAIR = 6, GLASSES = 7;
in vec3 position;
in vec3 normal;
in vec3 base;
in vec2 uv;
in vec4 in_key;
in float occlusion;
out vec4 colour;

uniform int material;
uniform float alpha_from;          // fragments below are dropped
uniform float alpha_to;            // fragments at or above are dropped
uniform bool albedo_only;
uniform bool diffuse_only;
uniform sampler2DArray skins;      // sRGB
uniform sampler2DArray masks;      // 0: lips shadow liner blush; 1: beard scalp mouth -
uniform sampler2D texture_map;
uniform sampler2D shadow_map;
uniform ivec4 skin_layers;
uniform vec4 skin_weights;
uniform vec3 skin_tint;
uniform vec3 tint;                 // of hair, brows, iris, glasses
uniform float tint_share;
uniform float beard;
uniform vec3 beard_colour;
uniform vec3 cloth;
uniform vec4 makeup_colour[4];     // rgb, alpha
uniform float makeup_extent[4];
uniform int marks;
uniform vec4 mark_place[8];        // u, v, radius in uv, angle
uniform vec4 mark_kind[8];         // strength, 1 for a scar
uniform vec3 eye;                  // of the camera
uniform vec3 key_direction, key_light, fill_direction, fill_light, rim_direction, rim_light, sky, ground;
uniform float exposure;
uniform float mouth_depth;         // z of the lips: what lies behind is darker

vec3 linear(vec3 c) { return pow(c, vec3(2.2)); }
float luminance(vec3 c) { return dot(c, vec3(0.2126, 0.7152, 0.0722)); }

vec3 skin_albedo(out float gloss) {
    vec3 skin = vec3(0.0);
    for (int i = 0; i < 4; ++i)
        if (skin_weights[i] > 0.0) skin += skin_weights[i] * texture(skins, vec3(uv, skin_layers[i])).rgb;
    skin = linear(skin) * skin_tint;
    gloss = 0.35;
    vec4 paint = texture(masks, vec3(uv, 0.0));
    vec4 extra = texture(masks, vec3(uv, 1.0));
    skin = mix(skin, beard_colour, beard * extra.r);
    for (int i = 0; i < marks; ++i) {
        vec2 d = uv - mark_place[i].xy;
        float c = cos(mark_place[i].w), s = sin(mark_place[i].w);
        d = vec2(c * d.x + s * d.y, -s * d.x + c * d.y);
        if (mark_kind[i].y > 0.5) {
            d.y *= 5.0;
            float scar = 1.0 - smoothstep(0.5, 1.0, length(d) / mark_place[i].z);
            skin = mix(skin, min(skin * vec3(1.5, 1.25, 1.2) + vec3(0.06, 0.03, 0.03), vec3(0.9)), scar * mark_kind[i].x);
        } else {
            float mole = 1.0 - smoothstep(0.6, 1.0, length(d) / mark_place[i].z);
            skin = mix(skin, skin * vec3(0.18, 0.12, 0.10) + vec3(0.006, 0.003, 0.002), mole * mark_kind[i].x);
        }
    }
    for (int i = 0; i < 4; ++i) {
        float soft = smoothstep(1.0 - makeup_extent[i], 1.0 - 0.4 * makeup_extent[i], paint[i]);
        skin = mix(skin, makeup_colour[i].rgb, makeup_colour[i].a * soft);
        if (i == 0) gloss += makeup_colour[i].a * soft;
    }
    return skin;
}

float lit_by_key() {
    vec3 p = in_key.xyz * 0.5 + 0.5;
    if (any(lessThan(p.xy, vec2(0.0))) || any(greaterThan(p.xy, vec2(1.0)))) return 1.0;
    float step = 1.5 / float(textureSize(shadow_map, 0).x), lit = 0.0;
    for (int i = 0; i < 4; ++i) {
        vec2 q = p.xy + step * vec2(float(i & 1) - 0.5, float(i >> 1) - 0.5);
        float behind = p.z - texture(shadow_map, q).r;
        lit += 1.0 - smoothstep(0.004, 0.012, behind);
    }
    return lit / 4.0;
}

vec3 tone(vec3 c) {  // ACES approximation of Narkowicz (2015)
    c *= exposure;
    return pow(clamp((c * (2.51 * c + 0.03)) / (c * (2.43 * c + 0.59) + 0.14), 0.0, 1.0), vec3(1.0 / 2.2));
}

// Height above a crew neck, lower in front, in decimetres of the neutral head.
float above_neckline() {
    return base.y - 5.88 + 0.26 * exp(-base.x * base.x / 0.14) * smoothstep(-0.2, 0.6, base.z);
}

void main() {
    vec4 texel = material == BODY || material == GLASSES ? vec4(1.0) : texture(texture_map, uv);
    if (texel.a < alpha_from || texel.a >= alpha_to) discard;
    float gloss = 0.0, opacity = texel.a, open = occlusion;
    vec3 albedo = linear(texel.rgb);
    if (material == BODY) {
        float cavity = texture(masks, vec3(uv, 1.0)).b;
        albedo = skin_albedo(gloss);
        float covered = smoothstep(0.02, -0.02, above_neckline());
        albedo = mix(albedo, cloth, covered);
        gloss *= 1.0 - covered;
        open *= mix(1.0, clamp(1.0 + 1.6 * (position.z - mouth_depth), 0.06, 1.0), cavity);
    } else if (material == TEETH || material == TONGUE) {
        gloss = 0.5;
        albedo *= material == TEETH ? vec3(0.75, 0.73, 0.68) : vec3(0.8, 0.6, 0.6);
        open *= clamp(1.0 + 2.2 * (position.z - mouth_depth + 0.12), 0.05, 0.85);
    } else if (material == EYES) {
        gloss = 1.4;
        float iris = smoothstep(0.02, 0.10, abs(albedo.r - albedo.b) + 0.5 * (0.5 - luminance(albedo)));
        albedo = mix(albedo * 0.85, albedo * tint, iris * tint_share);
    } else if (material == GLASSES) {
        albedo = tint;
        gloss = 0.8;
    } else {
        float detail = luminance(albedo);
        albedo = mix(albedo, tint * clamp(detail / 0.12, 0.25, 2.2), tint_share);
        gloss = material == HAIR ? 0.5 : 0.0;
    }
    if (albedo_only) {
        colour = vec4(pow(albedo, vec3(1.0 / 2.2)), 1.0) * opacity;
        return;
    }
    vec3 n = normalize(normal), v = normalize(eye - position);
    if (dot(n, v) < 0.0 && material != BODY) n = -n;
    float key = dot(n, key_direction), shade = lit_by_key();
    vec3 wrap = material == HAIR ? vec3(0.3) : vec3(0.45, 0.22, 0.15);  // light scattered below skin, per channel
    vec3 soft_key = clamp((key + wrap) / (1.0 + wrap), 0.0, 1.0) * pow(vec3(shade), vec3(0.55, 0.9, 1.0));
    vec3 soft_fill = clamp((dot(n, fill_direction) + wrap) / (1.0 + wrap), 0.0, 1.0);
    vec3 ambient = mix(ground, sky, 0.5 + 0.5 * n.y) * open * open;
    vec3 light = key_light * soft_key + fill_light * soft_fill * open + ambient;
    vec3 result = albedo * light;
    if (!diffuse_only) {
        vec3 h = normalize(key_direction + v);
        float power = material == EYES ? 220.0 : material == HAIR ? 18.0 : 26.0;
        float spot = pow(max(dot(n, h), 0.0), power) * max(key, 0.0) * shade;
        float fresnel = pow(1.0 - max(dot(n, v), 0.0), 4.0);
        result += key_light * spot * gloss * (material == HAIR ? 0.35 * albedo : vec3(0.22));
        result += rim_light * fresnel * max(dot(n, rim_direction) + 0.3, 0.0) * open * (material == HAIR ? 0.5 : 0.35);
        result += sky * fresnel * gloss * 0.08 * open;
        if (material == EYES) { float window = pow(max(dot(n, h), 0.0), 220.0); result += key_light * window; opacity = max(opacity, window); }
    }
    colour = vec4(tone(result), 1.0) * opacity;
}
