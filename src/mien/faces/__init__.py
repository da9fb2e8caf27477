"""Where the faces of a picture are: detection, landmarks, alignment."""
