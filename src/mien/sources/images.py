"""placeholder while the room is furnished"""
IMAGE_SUFFIXES = (".png",)
def read_image(p): raise NotImplementedError
