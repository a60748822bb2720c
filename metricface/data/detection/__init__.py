"""From a photograph to the faces in it: their boxes and five points of each."""
