#version 330
in vec3 in_position;
uniform mat4 key_camera;
void main() { gl_Position = key_camera * vec4(in_position, 1.0); }
