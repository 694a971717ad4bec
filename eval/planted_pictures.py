"""What eval/planted.py plants inside coded pictures: second ones, bytes behind their ends, tables that nothing uses.

All functions take a clean file's bytes and give those with the leak; `secret` is what is looked for afterwards.
"""

import re
import struct


def atom(data, path):
    """Start and end of the content of an MP4 box along a path of kinds."""
    start, end = 0, len(data)
    for kind in path:
        while data[start + 4:start + 8] != kind:
            start += struct.unpack(">I", data[start:start + 4])[0]
            if start >= end:
                raise ValueError(f"no box {kind}")
        start, end = start + 8, start + struct.unpack(">I", data[start:start + 4])[0]
    return start, end


STBL = [b"moov", b"trak", b"mdia", b"minf", b"stbl"]


def read_samples(data):
    start = atom(data, [*STBL, b"stsz"])[0]
    count = struct.unpack(">I", data[start + 8:start + 12])[0]
    sizes = struct.unpack(f">{count}I", data[start + 12:start + 12 + 4 * count])
    at, out = atom(data, [b"mdat"])[0], []
    for size in sizes:
        out.append(data[at:at + size])
        at += size
    return out


def write_samples(data, samples):
    """The index stands at the end, the samples in one chunk."""
    start, end = atom(data, [b"mdat"])
    content = b"".join(samples)
    out = bytearray(data[:start - 8] + struct.pack(">I", len(content) + 8) + b"mdat" + content + data[end:])
    sizes = atom(out, [*STBL, b"stsz"])[0] + 12
    out[sizes:sizes + 4 * len(samples)] = struct.pack(f">{len(samples)}I", *map(len, samples))
    return bytes(out)


def changed(change, sample=-1):
    """Gives one sample and the first one to `change`, and takes the sample anew."""
    def plant(data):
        samples = read_samples(data)
        samples[sample] = change(samples[sample], samples[0])
        return write_samples(data, samples)
    return plant


def holds_twice(path):
    """The first picture is in the file a second time."""
    data = path.read_bytes()
    start = atom(data, [*STBL, b"stsz"])[0] + 12
    size = struct.unpack(">I", data[start:start + 4])[0]
    offset = atom(data, [*STBL, b"stco"])[0] + 8
    first = struct.unpack(">I", data[offset:offset + 4])[0]
    return data.count(data[first + size // 2:first + size // 2 + 64]) > 1


# H.264 and H.265


def escaped(content):
    return re.sub(rb"\0\0([\0-\3])", lambda m: b"\0\0\3" + m.group(1), content)


def unit(content):
    return struct.pack(">I", len(content)) + content


def second_picture(sample, first):
    return sample + first


def picture_before(sample, first):
    return first + sample


def twice(sample, first):
    return sample + sample


def slice_of(head, secret):
    return lambda sample, first: sample + unit(head + escaped(secret * 40) + b"\x80")


def zero_words(secret):
    """The filling that the arithmetic coder may add."""
    return lambda sample, first: unit(sample[4:] + b"\0\0\3" * 400)


def in_parameter_set(secret):
    """Behind the end of the first set in the avcC or hvcC box."""
    def plant(data):
        kind = b"avcC" if b"avcC" in data else b"hvcC"
        box = data.index(kind)
        at = box + 4 + (6 if kind == b"avcC" else 26)
        size = struct.unpack(">H", data[at:at + 2])[0]
        more = secret + b"\x80"
        out = bytearray(data)
        out[at:at + 2] = struct.pack(">H", size + len(more))
        out[at + 2 + size:at + 2 + size] = more
        sizes = [find - 4 for find in (box, data.index(b"stsd"))] + [data.index(k) - 4 for k in STBL]
        sizes.append(data.index(b"stsd") + 12)
        for place in sizes:
            out[place:place + 4] = struct.pack(">I", struct.unpack(">I", out[place:place + 4])[0] + len(more))
        return bytes(out)
    return plant


# VP9 and AV1


def superframe(one, other):
    marker = bytes([0b110 << 5 | 3 << 3 | 1])
    return one + other + marker + struct.pack("<II", len(one), len(other)) + marker


def hidden_key(sample, first):
    """A key frame that is not shown, and replaced at once."""
    return superframe(bytes([first[0] & ~2]) + first[1:], first)


def shown_twice(sample, first):
    return superframe(first, sample)


def behind(secret):
    return lambda sample, first: sample + secret * 40


def leb128(number):
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def read_units(sample):
    out, at = [], 0
    while at < len(sample):
        head, at, size, shift = sample[at], at + 1, 0, 0
        while True:
            size |= (sample[at] & 127) << shift
            shift, at = shift + 7, at + 1
            if sample[at - 1] < 128:
                break
        out.append((head, sample[at:at + size]))
        at += size
    return out


def behind_units(kinds, secret):
    """Behind the first AV1 unit of one of the kinds (1: sequence header, 4: tiles, 6: frame)."""
    def change(sample, first):
        units = read_units(sample)
        at = next(i for i, (head, _) in enumerate(units) if head >> 3 in kinds)
        units[at] = (units[at][0], units[at][1] + secret * 40)
        return b"".join(bytes([head]) + leb128(len(content)) + content for head, content in units)
    return change


# WebP


def webp_tail(data, secret):
    """In the chunk of the picture, behind its bits."""
    size = struct.unpack("<I", data[16:20])[0]
    body = data[20:20 + size] + secret * 8
    body += b"\0" * (len(body) % 2)
    return b"RIFF" + struct.pack("<I", len(body) + 12) + b"WEBP" + data[12:16] + struct.pack("<I", len(body)) + body
