"""Poses, persons, boxes, crops: where a landmark is drawn and where the label says it is."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from livegate.preprocess.ops import plan_turned
from livegate.tasks.landmarks import points_in_frame
from livegate_training.camera import CameraRanges
from livegate_training.detected import detected
from livegate_training.facecrops import RULE, SIDE, crop_of, parts_of, stand
from livegate_training.heads import IDENTITIES, HeadLook, HeadMesh, look_from
from livegate_training.lifting import fit_depth, turned_person
from livegate_training.person import FLIPPED, Person, box_from_points
from livegate_training.pose import Pose, pose_of, rolled, rotation_of
from livegate_training.scene import crowd, filling, place
from livegate_training.seeds import seeded
from support import shared
from training_kit import OnePerson, marks, person, places

POSES = [Pose(0, 0, 0), Pose(30, -20, 10), Pose(-41, 22, -15), Pose(5, 5, 40)]


@pytest.fixture(scope="module")
def mesh() -> HeadMesh:
    """The head mesh of the project's shared folder."""
    return HeadMesh(shared("training", "heads3d", "ict_facekit_compact.npz"))


@pytest.mark.parametrize("pose", POSES)
def test_pose_survives_its_rotation(pose: Pose) -> None:
    """Angles to a rotation and back."""
    back = pose_of(rotation_of(pose))
    assert back.yaw_deg == pytest.approx(pose.yaw_deg)
    assert back.pitch_deg == pytest.approx(pose.pitch_deg)
    assert back.roll_deg == pytest.approx(pose.roll_deg)


def test_pose_signs_are_livegates() -> None:
    """yaw > 0 looks to the image's right, pitch > 0 down, roll > 0 brings the image's left eye up."""
    looks = np.array((0.0, 0.0, 1.0))
    assert (rotation_of(Pose(20, 0, 0)) @ looks)[0] > 0
    assert (rotation_of(Pose(0, 20, 0)) @ looks)[1] < 0
    left_eye = rotation_of(Pose(0, 0, 20)) @ np.array((-1.0, 0.0, 0.0))
    assert left_eye[1] > 0


def test_rolled_pose_of_an_upright_head_is_the_roll() -> None:
    """A picture turned clockwise rolls a frontal head and leaves yaw and pitch."""
    pose = rolled(Pose(0, 0, 0), 15)
    assert (pose.yaw_deg, pose.pitch_deg, pose.roll_deg) == pytest.approx((0, 0, 15))


def test_mirrored_twice_is_the_same_person() -> None:
    """Pixels, landmarks and pose; the order of landmarks is its own inverse."""
    np.testing.assert_array_equal(FLIPPED[FLIPPED], np.arange(68))
    one = person()
    twice = one.mirrored().mirrored()
    np.testing.assert_array_equal(twice.pixels, one.pixels)
    np.testing.assert_allclose(twice.points, one.points, atol=1e-4)
    assert twice.pose == one.pose
    assert one.mirrored().points[36, 0] < one.mirrored().points[45, 0]


@pytest.mark.parametrize("scale", [0.2, 0.5, 0.9, 2.0])
def test_moved_person_carries_its_landmarks(scale: float) -> None:
    """A white spot at a landmark is found where the moved landmark says, to half a pixel."""
    pixels = np.zeros((220, 200, 4), np.uint8)
    spot = np.array((123.0, 77.0))
    cv2.circle(pixels, (123, 77), 9, (255, 255, 255, 255), -1)
    points = marks()
    points[30] = spot
    matrix = cv2.getRotationMatrix2D((100, 90), 25, scale)
    moved = Person(pixels, points, Pose(0, 0, 0), "spot").moved(matrix, 400, 400)
    weights = moved.pixels[..., 3].astype(float)
    rows, columns = np.mgrid[0:400, 0:400]
    seen = np.array(((columns * weights).sum(), (rows * weights).sum())) / weights.sum()
    np.testing.assert_allclose(seen, moved.points[30], atol=0.5)


def test_rendered_head_landmarks_project_where_they_should(mesh: HeadMesh) -> None:
    """An independent pinhole projection of the mesh's own 68 vertices meets every label."""
    stored = np.load(shared("training", "heads3d", "ict_facekit_compact.npz"))
    look = look_with(Pose(25, -12, 8), jaw=0.7, blink=1.0)
    drawn = mesh.person(look, 240, seeded("head"))
    vertices = stored["base"].astype(np.float64) + 0.7 * stored["jawOpen"]
    vertices += stored["eyeBlink_L"].astype(np.float64) + stored["eyeBlink_R"]
    turned = vertices[stored["lm68"]] @ rotation_of(look.pose).T
    # Up to the camera's unknown shift and scale, which two landmarks give away.
    depth = mesh.shaped(look) @ rotation_of(look.pose).T
    flat = turned[:, :2] * (80 / (80 - (turned[:, 2:] - depth[:, 2].mean()))) * (1, -1)
    scale = np.ptp(drawn.points[:, 0]) / np.ptp(flat[:, 0])
    moved = (flat - flat[30]) * scale + drawn.points[30]
    np.testing.assert_allclose(moved, drawn.points, atol=0.35)
    inside = drawn.points.round().astype(int)
    assert (drawn.pixels[inside[17:, 1], inside[17:, 0], 3] > 100).all()


def test_rendered_head_follows_jaw_and_lids(mesh: HeadMesh) -> None:
    """An open jaw parts the lips, a blink closes the lids, a turn moves the nose."""
    shut = mesh.person(look_with(Pose(0, 0, 0)), 240, seeded("head")).points
    moved = mesh.person(look_with(Pose(0, 0, 0), jaw=1.0, blink=1.0), 240, seeded("head")).points
    assert moved[66, 1] - moved[62, 1] > shut[66, 1] - shut[62, 1] + 8
    assert moved[41, 1] - moved[37, 1] < 0.5 * (shut[41, 1] - shut[37, 1])
    right = mesh.person(look_with(Pose(30, 0, 0)), 240, seeded("head")).points
    assert right[30, 0] - right[[0, 16], 0].mean() > 8


def look_with(pose: Pose, jaw: float = 0.0, blink: float = 0.0) -> HeadLook:
    """The mean head in plain colours."""
    return HeadLook(
        identity=(0.0,) * IDENTITIES,
        pose=pose,
        jaw=jaw,
        blink=blink,
        skin=(128, 160, 205),
        hair=None,
        light=(0.2, 0.4, 0.9),
        ambient=0.5,
        iris=(40, 40, 50),
        distance=80,
    )


def test_random_head_is_the_same_for_a_seed(mesh: HeadMesh) -> None:
    """Pixels and labels."""
    first, again = (mesh.person(look_from(seeded("h", 5)), 120, seeded("d", 5)) for _ in range(2))
    np.testing.assert_array_equal(first.pixels, again.pixels)
    np.testing.assert_array_equal(first.points, again.points)


def test_portrait_laid_on_the_mesh_has_the_heads_pose(mesh: HeadMesh) -> None:
    """Landmarks of a drawn head give its own pose back, to 4 degrees, and the nose is in front."""
    drawn = mesh.person(look_with(Pose(12, 8, 5)), 200, seeded("head"))
    height, width = drawn.pixels.shape[:2]
    depth, pose = fit_depth(mesh, drawn.points, (width, height))
    assert pose.yaw_deg == pytest.approx(12, abs=4)
    assert pose.pitch_deg == pytest.approx(8, abs=4)
    nose, jaw = drawn.points[30].astype(int), drawn.points[2].astype(int)
    assert depth[nose[1], nose[0]] > depth[jaw[1], jaw[0]] + 10


def test_turned_portrait_moves_like_the_head(mesh: HeadMesh) -> None:
    """Turning the picture of a frontal head lands near a drawing of the turned head."""
    front = mesh.person(look_with(Pose(0, 0, 0)), 200, seeded("head"))
    height, width = front.pixels.shape[:2]
    depth, _ = fit_depth(mesh, front.points, (width, height))
    turned = turned_person(front, depth, 25, 0)
    told = mesh.person(look_with(Pose(25, 0, 0)), 200, seeded("head")).points
    ours = turned.points - turned.points[27]
    theirs = told - told[27]
    apart = np.linalg.norm(told[36] - told[45])
    assert np.linalg.norm(ours - theirs, axis=1)[17:].mean() / apart < 0.08
    assert turned.pose.yaw_deg == pytest.approx(25, abs=1e-6)


def test_crop_parts_are_the_inverse_of_the_runtimes_points() -> None:
    """What the network is taught is what the runtime turns back into frame pixels."""
    points = marks(90)
    plan = plan_turned(detected(points, seeded("d"), jitter=1.0), RULE)
    np.testing.assert_allclose(points_in_frame(parts_of(points, plan), plan), points, atol=1e-3)


def test_face_crop_shows_the_landmarks_where_the_label_is() -> None:
    """The disc's colour lies under the labels; the crop is 112 pixels; the pose is that of the crop."""
    rng = seeded("crop", 1)
    calm = CameraRanges(
        (1, 1), (1, 1), 0.0, 0.0, (1, 1), 0.0, 0.0, (0, 0), 0.0, (0, 0), 0.0, 0.0, (95, 96)
    )
    seen, picture = stand(person((10, 20, 230)), places(), rng, calm)
    sample = crop_of(picture, seen, rng, jitter=0.0)
    assert sample["pixels"].shape == (SIDE, SIDE, 3)
    inner = (sample["points"][36:48] * SIDE).astype(int)
    assert (sample["pixels"][inner[:, 1], inner[:, 0], 2] > 150).all()
    assert abs(float(sample["angles"][2])) < 2  # levelled by the eyes


def test_composed_boxes_contain_their_faces() -> None:
    """Each labelled face has the wanted height, its landmarks lie in its box, no body covers it."""
    people = OnePerson()
    for number in range(12):
        rng = seeded("crowd", number)
        wanted = [0.12, 0.2, 0.35, 0.5]
        light = np.full((360, 480, 3), 90, np.uint8)
        scene = crowd([people.make(rng) for _ in wanted], light, wanted, rng)
        assert scene.faces
        for points in scene.faces:
            left, top, width, height = box_from_points(points)
            assert min(abs(height - part * 360) for part in wanted) < 0.25 * height
            centre = points.mean(axis=0)
            assert left < centre[0] < left + width
            assert top < centre[1] < top + height
            x, y = points[30].round().astype(int)
            assert tuple(scene.light[y, x]) == pytest.approx((80, 120, 200), abs=3)


def test_placed_face_has_the_wanted_height_and_place() -> None:
    """The middle of the face box is where it was asked for."""
    one = place(person(), (640, 480), (320, 200), 150, 0.0)
    left, top, width, height = box_from_points(one.points)
    assert (left + width / 2, top + height / 2) == pytest.approx((320, 200), abs=0.5)
    assert height == pytest.approx(150, abs=0.5)


@pytest.mark.parametrize("turn", [0.0, 12.0, -25.0])
@pytest.mark.parametrize("size", [(640, 480), (480, 640), (192, 108)])
def test_filling_person_leaves_no_pixel_free(size: tuple[int, int], turn: float) -> None:
    """However small the face was to be, and wherever: the picture is covered to its corners."""
    whole = person()
    whole = replace(whole, pixels=np.full((*whole.pixels.shape[:2], 4), 255, np.uint8))
    for centre in ((0.0, 0.0), (size[0] / 2, size[1] / 2), (size[0], size[1])):
        one = filling(whole, size, centre, 5.0, turn)
        assert one.pixels.shape == (size[1], size[0], 4)
        assert one.pixels[..., 3].min() == 255


def test_filling_person_is_as_large_and_where_it_was_asked_for_if_it_can() -> None:
    """A face larger than it must be keeps its height and its place."""
    one = filling(person(), (100, 80), (52, 41), 400, 0.0)
    left, top, width, height = box_from_points(one.points)
    assert height == pytest.approx(400, abs=1)
    assert (left + width / 2, top + height / 2) == pytest.approx((52, 41), abs=1)
