"""From the bytes of image files to arrays of pixels, in any size."""
