#version 330
in vec3 in_position;   // posed, decimetres
in vec3 in_normal;
in vec3 in_base;       // neutral base position, for regions
in vec2 in_uv;
in vec3 in_other;      // the same vertex in a second state, for flow
in float in_occlusion; // baked ambient occlusion, 1 = open
uniform mat4 camera;
uniform mat4 other_camera;
uniform mat4 key_camera;
out vec3 position;
out vec3 normal;
out vec3 base;
out vec2 uv;
out vec4 in_key;
out vec4 other;
out float occlusion;
void main() {
    position = in_position;
    normal = in_normal;
    base = in_base;
    uv = vec2(in_uv.x, 1.0 - in_uv.y);
    in_key = key_camera * vec4(in_position, 1.0);
    other = other_camera * vec4(in_other, 1.0);
    occlusion = in_occlusion;
    gl_Position = camera * vec4(in_position, 1.0);
}
