"""Recordings in which nobody says anything, for trials."""

import io
import wave

_HEAD_BYTES = 44
_RATE = 8000
# MPEG 1, layer III, 128 kbit/s, 44.1 kHz, stereo; nothing but zeros after it is a frame of silence.
_FRAME = b"\xff\xfb\x90\x00" + bytes(413)
_FRAMES_A_SECOND = 38


def wav(size: int = _HEAD_BYTES + 2 * _RATE) -> io.BytesIO:
    """A WAV of so many bytes, an even number; a second of 16 bits at 8 kHz if not said otherwise."""
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(_RATE)
        sound.writeframes(bytes(size - _HEAD_BYTES))
    file.seek(0)
    return file


def mp3() -> io.BytesIO:
    """A second of MP3 that begins with a frame, and not with an ID3 tag."""
    return io.BytesIO(_FRAME * _FRAMES_A_SECOND)
