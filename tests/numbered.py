"""Films whose frames show their own number, so that a test can tell which frame it was given."""

from fractions import Fraction

import av
import numpy as np

SIZE_PX = (128, 64)
BITS = 8


def numbered(index, size_px=SIZE_PX):
    """Draw a number as black and white bars, the highest bit on the left."""
    width, height = size_px
    bits = [(index >> bit) & 1 for bit in reversed(range(BITS))]
    row = np.repeat(bits, width // BITS) * 200 + 20
    return np.tile(row[None, :, None], (height, 1, 3)).astype(np.uint8)


def number_of(image):
    """Read it back."""
    width = image.shape[1] // BITS
    bars = image[8, width // 2 :: width].mean(axis=1) > 128
    return int("".join(str(int(bar)) for bar in bars), 2)


def shoot(
    path,
    pictures=40,
    *,
    rate=Fraction(25),
    times_s=None,
    codec="libx264",
    sound=None,
    spoil=(),
    degrees=None,
    mirror=False,
    aspect=None,
    gop=12,
    **options,
):
    """Write a film of numbered pictures, or of those given.

    `times_s` gives each its time; `spoil` names packets, in the order of coding, that are overwritten;
    `sound` is a codec for a tone as long as the film.
    """
    images = [numbered(i) for i in range(pictures)] if isinstance(pictures, int) else pictures
    height, width = images[0].shape[:2]
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, options={k: str(v) for k, v in options.items()})
        stream.width, stream.height = width, height
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.codec_context.gop_size = gop
        if times_s is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        if degrees is not None:
            stream.set_display_rotation(degrees, hflip=mirror)
        tone = None if sound is None else container.add_stream(sound, rate=48_000, layout="mono")
        coded = 0
        for index, image in enumerate([*images, None]):
            frame = None if image is None else av.VideoFrame.from_ndarray(image, format="rgb24")
            if frame is not None and times_s is not None:
                frame.pts, frame.time_base = round(times_s[index] * 1000), Fraction(1, 1000)
            for packet in stream.encode(frame):
                container.mux(_spoiled(packet, coded, codec) if coded in spoil else packet)
                coded += 1
        if tone is not None:
            for packet in _tone(tone, len(images) / float(rate)):
                container.mux(packet)
    return path


def _spoiled(packet, seed, codec):
    """Overwrite most of a packet; of a JPEG all, for it survives the loss of what is not its head."""
    data = bytearray(bytes(packet))
    kept = 2 if codec == "mjpeg" else len(data) // 3
    data[kept:] = np.random.default_rng(seed).integers(0, 256, len(data) - kept, np.uint8).tobytes()
    broken = av.Packet(bytes(data))
    broken.pts, broken.dts, broken.time_base = packet.pts, packet.dts, packet.time_base
    broken.stream, broken.is_keyframe = packet.stream, packet.is_keyframe
    return broken


def _tone(stream, seconds):
    time_s = np.arange(int(48_000 * seconds)) / 48_000
    samples = (np.sin(2 * np.pi * 440 * time_s) * 8000).astype(np.int16)[None]
    frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = 48_000, 0, Fraction(1, 48_000)
    size = stream.codec_context.frame_size or 1024
    even = av.AudioResampler(stream.codec_context.format.name, "mono", 48_000, size)
    for piece in [*even.resample(frame), *even.resample(None)]:
        yield from stream.encode(piece)
    yield from stream.encode()
