"""Write anchor frames of a scene: pictures, geometry, motion and cameras for other programs."""
