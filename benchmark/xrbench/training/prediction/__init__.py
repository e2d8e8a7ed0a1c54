"""What a trained network says of images: scores and saliency maps."""
