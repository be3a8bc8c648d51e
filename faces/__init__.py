"""What a face is: vocabulary, images, analysis and the parametric head. No diffusion lives here."""
