"""The scorer on pictures whose answer is known."""

import sys
import tempfile
import unittest
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))

import conditions  # noqa: E402
import report  # noqa: E402
import score  # noqa: E402
from rows import Picture, apply, quad_of_box, upright_from_stored  # noqa: E402


def texture(width=200, height=160):
    noise = np.random.default_rng(1).integers(0, 256, (height, width, 3)).astype(np.uint8)
    soft = cv2.GaussianBlur(noise, (0, 0), 1.5).astype(np.float32)
    return np.clip((soft - 127.5) * 3 + 127.5, 0, 255).astype(np.uint8)


def face(box=(60, 50, 40, 40), ignored=()):
    return Picture("a.png", "face", 200, 160, [quad_of_box(box)], [quad_of_box(b) for b in ignored])


def masked_with(image, *boxes):
    out = image.copy()
    for x, y, w, h in boxes:
        out[y:y + h, x:x + w] = 128
    return out


class PictureScores(unittest.TestCase):
    def check(self, boxes, recall, over_masked, picture=None):
        image = texture()
        tally = score.score_picture(picture or face(), image, masked_with(image, *boxes), score.TOLERANCE_LOSSLESS)
        self.assertEqual(tally.recall, recall)
        self.assertAlmostEqual(tally.over_masked_share, over_masked, delta=0.002)

    def test_untouched_is_missed(self):
        self.check([], 0.0, 0.0)

    def test_whole_box_is_covered_and_costs_nothing(self):
        self.check([(60, 50, 40, 40)], 1.0, 0.0)

    def test_half_is_missed(self):
        self.check([(60, 50, 40, 20)], 0.0, 0.0)

    def test_twice_the_size_costs_nothing(self):
        self.check([(40, 30, 80, 80)], 1.0, 0.0)

    def test_elsewhere_costs_its_share(self):
        self.check([(60, 50, 40, 40), (150, 110, 40, 40)], 1.0, 1600 / (200 * 160 - 6400))

    def test_unlisted_text_costs_beside_the_list_alone(self):
        image, line, other = texture(), (20, 20, 100, 20), (20, 100, 120, 20)
        picture = Picture("a.png", "text", 200, 160, [quad_of_box(line)], unlisted=[quad_of_box(other)])
        tally = score.score_picture(picture, image, masked_with(image, line, other), score.TOLERANCE_LOSSLESS)
        self.assertAlmostEqual(tally.over_masked_share, 2400 / (200 * 160 - 120 * 40), delta=0.002)
        self.assertEqual((tally.recall, tally.beside_all_share, tally.unlisted), (1.0, 0.0, [1.0]))

    def test_ignored_costs_nothing(self):
        self.check([(60, 50, 40, 40), (150, 110, 40, 40)], 1.0, 0.0, face(ignored=[(150, 110, 40, 40)]))

    def test_small_faces_do_not_count(self):
        image = texture()
        tally = score.score_picture(face((60, 50, 15, 30)), image, image, score.TOLERANCE_LOSSLESS)
        self.assertEqual((tally.total, tally.clean_pictures), (0, 1))

    def test_no_output_is_a_miss(self):
        tally = score.score_picture(face(), texture(), None, score.TOLERANCE_LOSSLESS)
        self.assertEqual((tally.covered, tally.total, tally.without_output, tally.clean_pictures), (0, 1, 1, 0))

    def test_another_size_is_an_error(self):
        with self.assertRaises(ValueError):
            score.score_picture(face(), texture(), texture()[:-1], score.TOLERANCE_LOSSLESS)

    def test_mask_of_the_colour_that_was_there(self):
        image = texture()
        image[55:85, 65:90] = 132  # most of the face nearly has the mask's colour
        tally = score.score_picture(face(), image, masked_with(image, (60, 50, 40, 40)), score.TOLERANCE_LOSSLESS)
        self.assertEqual(tally.recall, 1.0)

    def test_black_mask_beside_a_black_coat(self):
        image = texture()
        image[90:] = 0
        out = image.copy()
        out[50:90, 60:100] = 0
        tally = score.score_picture(face(), image, out, score.TOLERANCE_LOSSLESS)
        self.assertEqual((tally.recall, tally.over_masked_share), (1.0, 0.0))

    def test_grey_mask_on_a_dim_grey_face(self):
        image = (texture() // 3 + 60).astype(np.uint8)  # 60 to 145: much of it within the tolerance of the mask's 128
        tally = score.score_picture(face(), image, masked_with(image, (60, 50, 40, 40)), score.TOLERANCE_LOSSY)
        self.assertEqual(tally.recall, 1.0)

    def test_jpeg_alone_is_no_mask(self):
        image = cv2.cvtColor(cv2.cvtColor(texture(), cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
        _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 75])
        tally = score.score_picture(face(), image, cv2.imdecode(data, cv2.IMREAD_COLOR), score.TOLERANCE_LOSSY)
        self.assertEqual(tally.recall, 0.0)
        self.assertLess(tally.over_masked_share, 0.01)


class Turning(unittest.TestCase):
    def test_truth_follows_the_pixels(self):
        picture = face((60, 50, 40, 30))
        image = np.zeros((160, 200, 3), np.uint8)
        image[50:80, 60:100] = 255
        for degrees in (30, 45, 60, 90, 180, 270):
            with self.subTest(degrees=degrees):
                turned_image, turned_picture = conditions.turned(degrees)(image, picture)
                self.assertEqual(turned_image.shape[:2], (turned_picture.height, turned_picture.width))
                white = (turned_image > 127).all(axis=2)
                self.assertGreater(score.coverage(white, turned_picture.shapes[0]), 0.99)
                self.assertAlmostEqual(white.sum(), 1200, delta=60)

    def test_orientation_keeps_the_picture_in_its_frame(self):
        for orientation in range(1, 9):
            with self.subTest(orientation=orientation):
                matrix, (width, height) = upright_from_stored(orientation, 30, 20)
                corners = apply(matrix, quad_of_box((0, 0, 30, 20)))
                self.assertEqual(sorted(map(tuple, corners.tolist())),
                                 sorted(map(tuple, quad_of_box((0, 0, width, height)).tolist())))

    def test_orientation_agrees_with_the_decoder(self):
        image = np.zeros((20, 30, 3), np.uint8)
        image[2:8, 3:12] = 255
        for orientation in range(2, 9):
            with self.subTest(orientation=orientation), tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "a.jpg"
                _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 95])
                tiff = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0" + bytes([orientation, 0, 0, 0]) + bytes(4)
                block = b"Exif\0\0" + tiff
                exif = b"\xff\xe1" + (len(block) + 2).to_bytes(2, "big") + block
                path.write_bytes(data.tobytes()[:2] + exif + data.tobytes()[2:])
                upright = cv2.imread(str(path)) > 160
                matrix, _ = upright_from_stored(orientation, 30, 20)
                box = apply(matrix, quad_of_box((3, 2, 9, 6)))
                self.assertGreater(score.coverage(upright.all(axis=2), box), 0.95)


class ClipScores(unittest.TestCase):
    def setUp(self):
        self.frames = [texture() for _ in range(6)]
        self.truth = [[quad_of_box((60, 50, 40, 40))] for _ in range(6)]

    def test_counts_frames_and_runs(self):
        hidden = [masked_with(f, (60, 50, 40, 40)) for f in self.frames]
        for i in (1, 2, 4):
            hidden[i] = self.frames[i]
        result = score.score_clip("c", self.truth, self.frames, hidden)
        self.assertEqual((result.face_frames, result.leaked, result.longest_run, result.leaked_frames, result.fault),
                         (6, 3, 2, [1, 2, 4], ""))

    def test_missing_frames_leak(self):
        hidden = [masked_with(f, (60, 50, 40, 40)) for f in self.frames[:4]]
        result = score.score_clip("c", self.truth, self.frames, hidden)
        self.assertEqual((result.leaked, result.fault), (2, "ends early"))

    def test_further_frames_are_a_fault(self):
        hidden = [masked_with(f, (60, 50, 40, 40)) for f in self.frames]
        result = score.score_clip("c", self.truth, self.frames, hidden + hidden[:1])
        self.assertEqual((result.leaked, result.fault), (0, "has more frames than the original"))


class Tables(unittest.TestCase):
    def test_codes_are_counted_by_symbology(self):
        table = report.code_table([("A", 3, 0, 0.97), ("A", 3, 30, 0.2), ("B", 3, 0, 0.95)], 0.95).splitlines()
        self.assertEqual(table[2:], ["| A | 1 of 2 |", "| B | 1 of 1 |", "| all | 2 of 3 |"])


if __name__ == "__main__":
    unittest.main()
