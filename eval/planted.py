"""Plants one leak at a time into clean outputs and asks who notices, and who takes it away.

    eval/planted.py WITHHOLD [--mat2 PROGRAM] [--only WORD]

Clean files are made by `withhold redact` from generated pictures and clips; each leak is planted into one of them, alone.
For each: does `withhold check` stop it, and by the rule that is meant? Is the leak still there after `exiftool -all=` and
after mat2? Needs ffmpeg and exiftool. Exit 1 when `check` lets one pass, tells another rule, or stops a clean file.
"""

import argparse
import json
import shutil
import struct
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

import planted_pictures as pictures

SECRET = b"LEAK7f3a9c"
TEXT = SECRET.decode()
CODEC = "-c:v libx264 -preset veryfast -threads 1"
QUIET = "-map_metadata -1 -fflags +bitexact -flags +bitexact -empty_hdlr_name 1"
NO_SEI = "-bsf:v filter_units=remove_types=6"
TURNED = struct.pack(">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30)


def run(command, cwd, check=True):
    words = command if isinstance(command, list) else command.split()
    done = subprocess.run([str(w) for w in words], cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if check and done.returncode:
        raise RuntimeError(f"{words}: {done.stderr.decode(errors='replace')[-600:]}")
    return done


def ffmpeg(folder, line, output):
    run(f"ffmpeg -v error -nostdin -y {line} {output}", folder)
    return folder / output


# Bytes


def segment(marker, body):
    return b"\xff" + bytes([marker]) + struct.pack(">H", len(body) + 2) + body


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def box(kind, body):
    return struct.pack(">I", len(body) + 8) + kind + body


def find_box(data, path):
    """Start and end of a box along a path of kinds."""
    start, end, found = 0, len(data), None
    for kind in path:
        at = start
        while True:
            size = struct.unpack(">I", data[at:at + 4])[0]
            if data[at + 4:at + 8] == kind:
                found = (at, at + size)
                start, end = at + 8, at + size
                break
            at += size
            if at >= end:
                raise ValueError(f"no box {kind}")
    return found


def grow(data, path, more):
    """Appends to a box and enlarges it and all around it; the index must stand behind the samples."""
    end = find_box(data, path)[1]
    data = bytearray(data)
    for depth in range(len(path), 0, -1):
        start = find_box(data, path[:depth])[0]
        size = struct.unpack(">I", data[start:start + 4])[0]
        data[start:start + 4] = struct.pack(">I", size + len(more))
    data[end:end] = more
    return bytes(data)


def patch(data, path, offset, new):
    start = find_box(data, path)[0] + 8 + offset
    return data[:start] + new + data[start + len(new):]


# What is planted: name, clean file, rule, how, and whether it is still there (else the secret is looked for).


def with_bytes(change):
    def plant(bench, source, target):
        target.write_bytes(change(source.read_bytes(), bench))
    return plant


def with_exiftool(*words):
    def plant(bench, source, target):
        shutil.copy(source, target)
        run(["exiftool", "-q", "-overwrite_original", *words, target], bench)
    return plant


def with_ffmpeg(line, inputs="", before=""):
    def plant(bench, source, target):
        ffmpeg(bench, f"{before} -i {source} {inputs} {line}", target.relative_to(bench))
    return plant


def behind(more):
    return with_bytes(lambda data, bench: data + more(bench))


def after_start(more):
    return with_bytes(lambda data, bench: data[:2] + more + data[2:])


def before_end(more):
    """Before IEND."""
    return with_bytes(lambda data, bench: data[:-12] + more + data[-12:])


def webp_chunk(kind, body):
    more = kind + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)
    return with_bytes(lambda data, bench: data[:4] + struct.pack("<I", len(data) - 8 + len(more)) + data[8:] + more)


def mpf(data, bench):
    """A second picture behind the end, as phones keep the original or a depth map."""
    second = (bench / "photo.jpg").read_bytes()
    return data[:2] + segment(0xe2, b"MPF\0II*\0\x08\0\0\0\0\0" + b"\0" * 16) + data[2:] + second


def exif_block():
    entry = struct.pack("<HHII", 315, 2, len(SECRET) + 1, 26)
    return b"II*\0\x08\0\0\0\x01\0" + entry + b"\0" * 4 + SECRET + b"\0"


def two_pages(data, bench):
    """A second directory with the first one's strips."""
    at = struct.unpack("<I", data[4:8])[0]
    count = struct.unpack("<H", data[at:at + 2])[0]
    directory = data[at:at + 2 + 12 * count]
    end = at + 2 + 12 * count
    return data[:end] + struct.pack("<I", len(data)) + data[end + 4:] + directory + b"\0\0\0\0"


def has_second_page(path):
    data = path.read_bytes()
    order = "<" if data[:2] == b"II" else ">"
    at = struct.unpack(order + "I", data[4:8])[0]
    count = struct.unpack(order + "H", data[at:at + 2])[0]
    return data[at + 2 + 12 * count:at + 6 + 12 * count] != b"\0\0\0\0"


def hidden_in_zlib(data, bench):
    """A further IDAT behind the end of the stream."""
    return data[:-12] + chunk(b"IDAT", SECRET) + data[-12:]


def edit_list(data, bench):
    """Half of the frames are hidden: the edit begins later."""
    start, end = find_box(data, [b"moov", b"trak", b"edts", b"elst"])
    entry = data[start + 16:end]
    duration, media_time = struct.unpack(">II", entry[:8])
    step = 512 * 10
    return patch(data, [b"moov", b"trak", b"edts", b"elst"], 8, struct.pack(">II", duration, media_time + step))


def unreferenced(data, bench):
    return grow(data, [b"mdat"], SECRET)


def streams(path):
    done = run(["ffprobe", "-v", "error", "-show_streams", "-show_chapters", "-of", "json", path], path.parent, check=False)
    return json.loads(done.stdout or b"{}")


def has_stream(kind, count=1):
    return lambda path: sum(s.get("codec_type") == kind for s in streams(path).get("streams", [])) >= count


def exif_has(*tags):
    def look(path):
        words = ["exiftool", "-j", "-a", *[f"-{t}" for t in tags], path]
        row = json.loads(run(words, path.parent, check=False).stdout or b"[{}]")[0]
        return any(not k.startswith("SourceFile") and v not in ("0000:00:00 00:00:00", 0, "0") for k, v in row.items())
    return look


def longer_than(original):
    return lambda path: path.stat().st_size > original.stat().st_size + 400


def stream_size_differs(path):
    """Coded pixels are cropped away: decoding without cropping gives more picture."""
    probe = "ffprobe -v error -select_streams v -show_entries frame=width,height -read_intervals %+#1 -of csv=p=0"
    plain = run([*probe.split(), path], path.parent, check=False).stdout
    full = run([*probe.split(), "-flags", "unaligned", "-apply_cropping", "0", path], path.parent, check=False).stdout
    return plain != full


def hides_frames(path):
    """More packets are in the file than frames are shown."""
    count = "ffprobe -v error -select_streams v -count_packets -count_frames -show_entries stream=nb_read_packets,nb_read_frames -of json"
    stream = json.loads(run([*count.split(), path], path.parent, check=False).stdout or b"{}").get("streams", [{}])[0]
    return int(stream.get("nb_read_packets", 0)) > int(stream.get("nb_read_frames", 0))


def leaks_in_pictures():
    """Hidden inside what is coded: a container's reader sees nothing of it."""
    jpg, webp, lossy, h264, h265, vp9, av1 = "photo.jpg", "photo.webp", "lossy.webp", "clip.mp4", "h265.mp4", "vp9.mp4", "av1.mp4"

    def sample(change, number=-1):
        return with_bytes(lambda data, bench: pictures.changed(change, number)(data))

    table = SECRET + b"\7" * (64 - len(SECRET))
    twice = pictures.holds_twice
    return [
        ("JPEG table that nothing uses", jpg, "unused-data", after_start(segment(0xdb, b"\3" + table) * 100)),
        ("JPEG table that is replaced", jpg, "unused-data", after_start(segment(0xdb, b"\0" + table))),
        ("bytes behind a lossless WebP's last code", webp, "unused-data", with_bytes(lambda d, b: pictures.webp_tail(d, SECRET))),
        ("bytes behind a lossy WebP's last code", lossy, "unused-data", with_bytes(lambda d, b: pictures.webp_tail(d, SECRET))),
        ("H.264 second picture behind a frame", h264, "extra-picture", sample(pictures.second_picture), twice),
        ("H.264 second picture before a frame", h264, "extra-picture", sample(pictures.picture_before), twice),
        ("H.264 slices twice", h264, "unused-data", sample(pictures.twice, 0), twice),
        ("H.264 slice of no picture", h264, "extra-picture", sample(pictures.slice_of(b"\x41\xf5", SECRET))),
        ("H.264 key slice of no picture", h264, "extra-picture", sample(pictures.slice_of(b"\x65\xf5", SECRET))),
        ("H.264 filling behind a slice", h264, "residue", sample(pictures.zero_words(SECRET)), lambda p: b"\0\0\3" * 400 in p.read_bytes()),
        ("H.264 bytes behind a parameter set", h264, "residue", with_bytes(lambda d, b: pictures.in_parameter_set(SECRET)(d))),
        ("H.265 second picture behind a frame", h265, "extra-picture", sample(pictures.second_picture), twice),
        ("H.265 slice of no picture", h265, "extra-picture", sample(pictures.slice_of(b"\2\1\xd0", SECRET))),
        ("H.265 bytes behind a parameter set", h265, "residue", with_bytes(lambda d, b: pictures.in_parameter_set(SECRET)(d))),
        ("VP9 second picture in a frame's index", vp9, "extra-picture", sample(pictures.shown_twice), twice),
        ("VP9 second picture behind a frame", vp9, "extra-picture", sample(pictures.second_picture), twice),
        ("VP9 second picture before a frame", vp9, "unused-data", sample(pictures.picture_before), twice),
        ("VP9 hidden picture", vp9, "hidden-frames", sample(pictures.hidden_key, 0), twice),
        ("VP9 bytes behind the last tile", vp9, "unused-data", sample(pictures.behind(SECRET))),
        ("AV1 second picture behind a frame", av1, "extra-picture", sample(pictures.second_picture), twice),
        ("AV1 bytes behind a tile", av1, "unused-data", sample(pictures.behind_units((4, 6), SECRET), 0)),
        ("AV1 bytes behind the sequence header", av1, "residue", sample(pictures.behind_units((1,), SECRET), 0)),
        ("MP4 bit rates", h264, "residue", with_bytes(lambda d, b: d.replace(b"btrt" + d[d.index(b"btrt") + 4:][:12], b"btrt" + SECRET + b"\0\0"))),
        ("MP4 version of the first brand", h264, "residue", with_bytes(lambda d, b: patch(d, [b"ftyp"], 4, b"LEAK")), lambda p: b"LEAK" in p.read_bytes()[:64]),
        ("MP4 level beside the parameter sets", h264, "residue", with_bytes(lambda d, b: d.replace(b"avcC" + d[d.index(b"avcC") + 4:][:4], b"avcC\1LEK")), lambda p: b"avcC\1LEK" in p.read_bytes()),
    ]


def leaks(bench):
    jpg, png, webp, tif, mp4 = "photo.jpg", "photo.png", "photo.webp", "photo.tif", "clip.mp4"
    copy = f"-map 0 -c copy {QUIET}"
    again = f"{CODEC} {QUIET}"
    moov = [b"moov"]
    return [
        ("JPEG comment", jpg, "metadata-comment", after_start(segment(0xfe, SECRET))),
        ("EXIF position", jpg, "metadata-location", with_exiftool("-GPSLatitude=37.5", "-GPSLatitudeRef=N", "-GPSLongitude=127"), exif_has("GPSLatitude")),
        ("EXIF device and serial number", jpg, "metadata-device", with_exiftool(f"-Make={TEXT}", f"-SerialNumber={TEXT}")),
        ("EXIF time", jpg, "metadata-time", with_exiftool("-DateTimeOriginal=2025:01:11 10:00:00"), exif_has("DateTimeOriginal")),
        ("EXIF artist", jpg, "metadata-person", with_exiftool(f"-Artist={TEXT}")),
        ("EXIF software", jpg, "metadata-software", with_exiftool(f"-Software={TEXT}")),
        ("EXIF thumbnail", jpg, "metadata-preview", with_exiftool(f"-ThumbnailImage<={bench / 'thumb.jpg'}"), exif_has("ThumbnailImage")),
        ("EXIF orientation", jpg, "orientation", with_exiftool("-n", "-Orientation=6"), exif_has("Orientation")),
        ("XMP creator", jpg, "metadata-person", with_exiftool(f"-XMP-dc:Creator={TEXT}")),
        ("IPTC city", jpg, "metadata-location", with_exiftool(f"-IPTC:City={TEXT}")),
        ("JFIF thumbnail", jpg, "metadata-preview", after_start(segment(0xe0, b"JFXX\0\x13\1\1" + SECRET))),
        ("private segment", jpg, "metadata", after_start(segment(0xea, SECRET))),
        ("second picture behind the end (MPF)", jpg, "extra-picture", with_bytes(mpf), longer_than(bench / jpg)),
        ("clip behind the end (motion photo)", jpg, "motion-photo", behind(lambda b: (b / mp4).read_bytes()), longer_than(bench / jpg)),
        ("archive behind the end", jpg, "embedded-file", behind(lambda b: b"PK\x03\x04" + SECRET)),
        ("bytes behind the end, JPEG", jpg, "trailing-bytes", behind(lambda b: SECRET)),
        ("PNG text", png, "metadata-person", before_end(chunk(b"tEXt", b"Author\0" + SECRET))),
        ("PNG compressed text", png, "metadata-comment", before_end(chunk(b"zTXt", b"Comment\0\0" + zlib.compress(SECRET))), exif_has("Comment")),
        ("PNG XMP", png, "metadata-person", with_exiftool(f"-XMP-dc:Creator={TEXT}")),
        ("PNG EXIF", png, "metadata-person", before_end(chunk(b"eXIf", exif_block()))),
        ("PNG time", png, "metadata-time", before_end(chunk(b"tIME", b"\x07\xe9\1\x0b\x0a\0\0")), exif_has("ModifyDate")),
        ("PNG private chunk", png, "unknown-part", before_end(chunk(b"prVt", SECRET))),
        ("PNG data behind its stream", png, "unused-data", with_bytes(hidden_in_zlib)),
        ("PNG bytes behind the end", png, "trailing-bytes", behind(lambda b: SECRET)),
        ("PNG hidden pixels", png, "hidden-pixels", with_ffmpeg("-vf format=rgba,geq=r='r(X,Y)':g='g(X,Y)':b='b(X,Y)':a='if(lt(X,60),0,255)'"), lambda p: b"\x08\x06" in p.read_bytes()[:32]),
        ("PNG further frames", png, "extra-picture", with_ffmpeg(f"-loop 1 -t 0.2 -f apng {QUIET}", before="-loop 1 -t 0.2"), lambda p: b"acTL" in p.read_bytes()),
        ("WebP EXIF", webp, "metadata-person", webp_chunk(b"EXIF", exif_block())),
        ("WebP XMP", webp, "metadata-person", webp_chunk(b"XMP ", b"<x:xmpmeta><dc:creator>" + SECRET + b"</dc:creator></x:xmpmeta>")),
        ("WebP unknown chunk", webp, "unknown-part", webp_chunk(b"LEAK", SECRET)),
        ("WebP bytes behind the end", webp, "trailing-bytes", behind(lambda b: SECRET)),
        ("TIFF second page", tif, "extra-picture", with_bytes(two_pages), has_second_page),
        ("TIFF artist", tif, "metadata-person", with_exiftool(f"-Artist={TEXT}")),
        ("TIFF unused bytes", tif, "unused-data", behind(lambda b: SECRET * 8)),
        ("MP4 title", mp4, "metadata-comment", with_ffmpeg(f"-map 0 -c copy -fflags +bitexact -empty_hdlr_name 1 -metadata title={TEXT}")),
        ("MP4 position", mp4, "metadata-location", with_bytes(lambda d, b: grow(d, moov, box(b"udta", box(b"\xa9xyz", b"\0\x0f\x15\xc7+37.5" + SECRET))))),
        ("MP4 cover picture", mp4, "metadata-preview", with_ffmpeg("-map 0 -map 1 -c copy -disposition:v:1 attached_pic -fflags +bitexact -empty_hdlr_name 1", inputs="-i thumb.jpg"), has_stream("video", 2)),
        ("MP4 creation time", mp4, "metadata-time", with_ffmpeg("-map 0 -c copy -fflags +bitexact -empty_hdlr_name 1 -metadata creation_time=2025-01-11T10:00:00Z"), exif_has("CreateDate", "TrackCreateDate", "MediaCreateDate")),
        ("MP4 free box", mp4, "unknown-part", behind(lambda b: box(b"free", SECRET))),
        ("MP4 uuid box", mp4, "unknown-part", behind(lambda b: box(b"uuid", b"0123456789abcdef" + SECRET))),
        ("MP4 unknown box", mp4, "unknown-part", behind(lambda b: box(b"LEAK", SECRET))),
        ("MP4 bytes behind the end", mp4, "trailing-bytes", behind(lambda b: SECRET[:7]), lambda p: SECRET[:7] in p.read_bytes()),
        ("MP4 unreferenced samples", mp4, "unused-data", with_bytes(unreferenced)),
        ("MP4 second mdat", mp4, "unused-data", behind(lambda b: box(b"mdat", SECRET))),
        ("MP4 frames hidden by an edit list", mp4, "hidden-frames", with_bytes(edit_list), hides_frames),
        ("H.264 cropped", mp4, "cropped-picture", with_ffmpeg(f"{copy} -bsf:v h264_metadata=crop_right=100"), stream_size_differs),
        ("H.265 cropped", mp4, "cropped-picture", with_ffmpeg(f"-c:v libx265 -x265-params log-level=none:info=0 -tag:v hvc1 {QUIET} -bsf:v filter_units=remove_types=39-40,hevc_metadata=crop_right=64"), stream_size_differs),
        ("second video track", mp4, "extra-track", with_ffmpeg(f"-map 0 -map 0 -c copy {QUIET}"), has_stream("video", 2)),
        ("disabled track", mp4, "extra-track", with_bytes(lambda d, b: patch(d, [b"moov", b"trak", b"tkhd"], 3, b"\2")), has_stream("video")),
        ("sound", mp4, "audio-present", with_ffmpeg(f"-map 0 -map 1 -c:v copy -c:a aac -flags:a +bitexact {QUIET}", inputs="-f lavfi -i sine=d=1"), has_stream("audio")),
        ("subtitles", mp4, "subtitles", with_ffmpeg(f"-map 0 -map 1 -c:v copy -c:s mov_text {QUIET}", inputs="-i s.srt")),
        ("chapters", mp4, "chapters", with_ffmpeg("-map 0:v -c copy -map_metadata:g -1 -fflags +bitexact -empty_hdlr_name 1 -map_chapters 1", inputs="-i c.txt")),
        ("time code", mp4, "timecode", with_ffmpeg(f"{copy} -timecode 01:02:03:04"), has_stream("data")),
        ("handler name", mp4, "handler-name", with_ffmpeg(f"-map 0 -c copy -map_metadata -1 -fflags +bitexact -metadata:s:v handler_name={TEXT}")),
        ("encoder settings in the stream", mp4, "encoder-string", with_ffmpeg(again), lambda p: b"x264" in p.read_bytes()),
        ("user data in the stream", mp4, "stream-data", with_ffmpeg(f"{copy} -bsf:v h264_metadata=sei_user_data=086f3693-b7b3-4f2c-9653-21492feee5b8+{TEXT}")),
        ("closed captions in the stream", mp4, "closed-captions", with_bytes(captions), lambda p: b"GA94" in p.read_bytes()),
        ("turned by a matrix", mp4, "orientation", with_bytes(lambda d, b: patch(d, [b"moov", b"trak", b"tkhd"], 40, TURNED)), lambda p: b"rotation" in run(["ffprobe", "-v", "error", "-show_streams", p], p.parent, check=False).stdout),
        ("encoder's name in the track", mp4, "encoder-string", with_bytes(lambda d, b: patch(d, [b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd"], 8 + 8 + 42, b"\x0aLEAK7f3a9c"))),
    ]


# What lies beside clean files in their folder: name, rule, file, content (a name: that clean file's).
BESIDE = [
    ("tags beside a photo", "sidecar", "photo.xmp", b"<x:xmpmeta><dc:creator>" + SECRET + b"</dc:creator></x:xmpmeta>"),
    ("subtitles beside a clip", "sidecar", "clip.srt", b"1\n00:00:00,000 --> 00:00:01,000\n" + SECRET + b"\n"),
    ("a preview beside a clip", "sidecar", "clip.thm", "photo.jpg"),
    ("an unknown file in the folder", "unknown-file", "notes.bin", SECRET),
]


def captions(data, bench):
    """CEA-708 in a SEI unit before the first frame: the samples are written anew, so that the index fits."""
    (bench / "plain.h264").unlink(missing_ok=True)
    (bench / "in.mp4").write_bytes(data)
    # Without B-frames, whose order a bare stream would not tell.
    ffmpeg(bench, f"-i in.mp4 {CODEC} -bf 0 {NO_SEI} -f h264", "plain.h264")
    payload = b"\xb5\x00\x31GA94\x03\x41\xff\xfc\x94\x2c\xff"
    sei = b"\0\0\0\1\x06\x04" + bytes([len(payload)]) + payload + b"\x80"
    stream = (bench / "plain.h264").read_bytes()
    at = stream.index(b"\0\0\1\x65") if b"\0\0\0\1\x65" not in stream else stream.index(b"\0\0\0\1\x65")
    (bench / "told.h264").write_bytes(stream[:at] + sei + stream[at:])
    return ffmpeg(bench, f"-r 25 -i told.h264 -c copy {QUIET}", "told.mp4").read_bytes()


def make_clean(program, bench):
    """Outputs of the program itself, and what leaks are made of."""
    source = bench / "source"
    source.mkdir()
    for name, more in (("photo.jpg", ""), ("photo.png", ""), ("photo.webp", "-c:v libwebp"), ("photo.tif", "")):
        ffmpeg(bench, f"-f lavfi -i gradients=s=320x240:seed=5,noise=alls=6:all_seed=3 -frames:v 1 {more}", f"source/{name}")
    ffmpeg(bench, f"-f lavfi -i gradients=s=320x240:r=25:d=2:seed=5 {CODEC} -pix_fmt yuv420p", "source/clip.mp4")
    # What is planted is in the bytes: no network has to look.
    run([program, "redact", source, "-o", bench / "out", "-q", "--targets", "none", "--region", "16,16,48,32"], bench)
    for path in (bench / "out").iterdir():
        shutil.copy(path, bench / path.name)
    # Planting into the index moves no sample when it stands at the end.
    ffmpeg(bench, f"-i out/clip.mp4 -c copy {QUIET}", "clip.mp4")
    for codec in ("h265", "vp9", "av1"):
        run([program, "redact", source / "clip.mp4", "-o", bench / codec, "-q", "--codec", codec, "--targets", "none", "--region", "16,16,48,32"], bench)
        ffmpeg(bench, f"-i {codec}/clip.mp4 -c copy {'-tag:v hvc1' if codec == 'h265' else ''} {QUIET}", f"{codec}.mp4")
    # The program itself writes lossless ones.
    ffmpeg(bench, "-i out/photo.png -c:v libwebp -pix_fmt yuv420p", "lossy.webp")
    ffmpeg(bench, "-f lavfi -i testsrc2=s=64x48 -frames:v 1", "thumb.jpg")
    (bench / "s.srt").write_text(f"1\n00:00:00,000 --> 00:00:01,000\n{TEXT}\n")
    (bench / "c.txt").write_text(f";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=500\ntitle={TEXT}\n")


def checked(program, path):
    done = run([program, "check", path, "--format", "json", "-q", "--targets", "none"], path.parent, check=False)
    reports = [json.loads(line) for line in done.stdout.decode().splitlines()]
    return done.returncode, {f["rule"] for r in reports for f in r["findings"] if f["severity"] == "error"}


def is_left(path, look):
    """Whether the leak is still in a cleaned file; None when the tool made none."""
    if not path.exists():
        return None
    return bool(look(path)) if look else SECRET in path.read_bytes()


def exiftool_cleans(path, folder):
    target = folder / path.name
    target.unlink(missing_ok=True)
    run(["exiftool", "-q", "-m", "-all=", "-o", target, path], folder, check=False)
    return target


def mat2_cleans(program, path, folder):
    shutil.copy(path, folder / path.name)
    target = folder / f"{path.stem}.cleaned{path.suffix}"
    target.unlink(missing_ok=True)
    run([program, path.name], folder, check=False)
    return target


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program", type=lambda p: Path(p).resolve())
    parser.add_argument("--mat2")
    parser.add_argument("--only", default="", help="leaks whose name has this word")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bench = Path(folder)
        make_clean(args.program, bench)
        return measure(args, bench)


def measure(args, bench):
    wrong = 0
    for name in ("photo.jpg", "photo.png", "photo.webp", "lossy.webp", "photo.tif", "clip.mp4", "h265.mp4", "vp9.mp4", "av1.mp4"):
        code, rules = checked(args.program, bench / name)
        if code != 0:
            wrong += 1
            print(f"clean {name} is stopped: exit {code}, {sorted(rules)}")
    for tool in ("planted", "exiftool", "mat2"):
        (bench / tool).mkdir()
    words = {None: "no output", True: "left", False: "gone"}
    counts = {"check": 0, "exiftool": 0, "mat2": 0}
    rows = [row for row in leaks(bench) + leaks_in_pictures() if args.only in row[0]]
    print("| leak | `withhold check` | `exiftool -all=` | mat2 |\n|---|---|---|---|")
    for name, clean, rule, plant, *look in rows:
        look = look[0] if look else None
        path = bench / "planted" / clean
        path.unlink(missing_ok=True)
        plant(bench, bench / clean, path)
        if not is_left(path, look):
            raise RuntimeError(f"{name}: was not planted")
        caught, cell = judged(args.program, path, rule)
        counts["check"] += caught
        wrong += not caught
        cells = [cell]
        left = is_left(exiftool_cleans(path, bench / "exiftool"), look)
        counts["exiftool"] += left is False
        cells.append(words[left])
        if args.mat2:
            left = is_left(mat2_cleans(args.mat2, path, bench / "mat2"), look)
            counts["mat2"] += left is False
            cells.append(words[left])
        else:
            cells.append("not run")
        print(f"| {name} | {' | '.join(cells)} |", flush=True)
    for name, rule, file, content in BESIDE:
        if args.only not in name:
            continue
        folder = bench / "folder" / file
        folder.mkdir(parents=True)
        shutil.copy(bench / "photo.jpg", folder)
        shutil.copy(bench / "clip.mp4", folder)
        (folder / file).write_bytes(content if isinstance(content, bytes) else (bench / content).read_bytes())
        caught, cell = judged(args.program, folder, rule)
        counts["check"] += caught
        wrong += not caught
        rows.append(name)
        print(f"| {name} | {cell} | looks at single files | looks at single files |", flush=True)
    print(f"| {len(rows)} leaks | {counts['check']} caught | {counts['exiftool']} taken away | {counts['mat2']} taken away |")
    return int(wrong > 0)


def judged(program, path, rule):
    """Whether a leak is stopped by the rule that is meant, and the cell that says so. What the leak makes a file that
    decoders refuse (exit 3) is told and stopped as well."""
    code, rules = checked(program, path)
    if code not in (1, 3) or rule not in rules:
        return False, f"MISSED (exit {code}, {sorted(rules)})"
    return True, f"`{rule}`" if code == 1 else f"`{rule}` (exit 3)"


if __name__ == "__main__":
    sys.exit(main())
