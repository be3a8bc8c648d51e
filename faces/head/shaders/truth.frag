#version 330
// Writes exact labels of the surface that is seen: no blending, alpha-tested.
const int BODY = 0, EYES = 1, TEETH = 2, TONGUE = 3, BROW = 4, LASHES = 5, HAIR = 6, GLASSES = 7;
in vec3 position;
in vec3 normal;
in vec3 base;
in vec2 uv;
in vec4 other;
layout(location = 0) out vec4 surface;  // u, v, parsing id, distance from the camera
layout(location = 1) out vec4 facing;   // normal, body = 1
layout(location = 2) out vec4 motion;   // clip position in the second state

uniform int material;
uniform sampler2D texture_map;
uniform sampler2D regions;              // parsing id / 255, nearest
uniform vec3 eye;

// Height above a crew neck, lower in front, in decimetres of the neutral head.
float above_neckline() {
    return base.y - 5.88 + 0.26 * exp(-base.x * base.x / 0.14) * smoothstep(-0.2, 0.6, base.z);
}

void main() {
    if (material != BODY && material != GLASSES && texture(texture_map, uv).a < (material == EYES ? 0.5 : 0.35)) discard;
    float left = step(0.0, base.x), id = 17.0;
    if (material == BODY) {
        id = floor(texture(regions, uv).r * 255.0 + 0.5);
        if (above_neckline() < 0.0) id = 16.0;
    } else if (material == EYES) id = 5.0 - left;
    else if (material == BROW) id = 3.0 - left;
    else if (material == TEETH || material == TONGUE) id = 11.0;
    else if (material == LASHES) id = 5.0 - left;
    else if (material == GLASSES) id = 6.0;
    surface = vec4(uv, id, distance(eye, position));
    facing = vec4(normalize(normal), material == BODY ? 1.0 : 0.0);
    motion = other;
}
