"""The page of a served model in a real Chromium: pictures, the card, the camera with a prepared video."""

import base64
import csv
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from browser import Browser, Tab, running_browser
from camera_video import in_the_middle, write_video
from face_pictures import face_picture
from PIL import Image
from registering_tiny import Registry
from running_server import Running, running

from study.home import Home
from study.registry.promotion import promote
from study.serving.bounds import Bounds
from study.serving.page_routes import page_router
from trainables.datasets.dataset import Dataset
from trainables.inference.classifier import Classifier

PHONE = 360, 740
LEAST_RATE = 10
"""Frames per second."""
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
LIVE_TRACKS = "tracks.filter((track) => track.readyState === 'live').length"
KEEP_TRACKS = """
  window.tracks = [];
  const given = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = async (wanted) => {
    const stream = await given(wanted);
    window.tracks.push(...stream.getTracks());
    return stream;
  };
"""
"""What a test sees of the camera: the tracks that the browser gave to the page."""


@pytest.fixture(scope="module")
def shown(classifier: Classifier, digits_home: Home) -> dict[str, Image.Image]:
    """For each class the digit that the model is surest of, large as people's pictures are."""
    dataset = Dataset.open(digits_home.datasets / "digits")
    split, classes = dataset.validation, dataset.manifest.classes
    probabilities_NK = classifier.probabilities_of_stored(split.images)
    rows = {name: int(probabilities_NK[:, label].argmax()) for label, name in enumerate(classes)}
    return {name: in_the_middle(split.pixels(row)) for name, row in rows.items()}


@pytest.fixture(scope="module")
def server(registered: Registry) -> Iterator[Running]:
    """Of one version, that no test changes."""
    with running(registered.home) as one:
        yield one


@pytest.fixture(scope="module")
def browser(shown: dict[str, Image.Image], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    folder = tmp_path_factory.mktemp("chromium")
    write_video(folder / "digits.mjpeg", shown.values(), seconds=0.4)
    with running_browser(
        folder,
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-video-capture={folder / 'digits.mjpeg'}",
    ) as running:
        yield running


@pytest.fixture
def page(browser: Browser, server: Running) -> Iterator[Tab]:
    """The page, fresh, with its card."""
    with shown_page(browser, server) as tab:
        yield tab


@contextmanager
def shown_page(browser: Browser, server: Running) -> Iterator[Tab]:
    tab = browser.open()
    tab.call("Page.addScriptToEvaluateOnNewDocument", source=KEEP_TRACKS)
    tab.go(f"{server.address}/")
    try:
        yield tab
    finally:
        tab.close()


@pytest.fixture
def pictures(shown: dict[str, Image.Image], tmp_path: Path) -> list[Path]:
    """Two digits and a file that is no picture."""
    for name in ("3", "7"):
        shown[name].save(tmp_path / f"a {name}.png")
    (tmp_path / "notes.png").write_text("no picture")
    return [tmp_path / "a 3.png", tmp_path / "a 7.png", tmp_path / "notes.png"]


def results(page: Tab) -> list[str]:
    """What stands at each picture, once all are answered."""
    page.wait_for(
        "[...document.querySelectorAll('.verdict, .result .failure')].every((one) => one.innerText !== '…')"
    )
    texts = page.evaluate("[...document.querySelectorAll('.result')].map((one) => one.innerText)")
    return ["\n".join(line for line in text.splitlines() if line) for text in texts]


def start_camera(page: Tab) -> None:
    page.evaluate("document.querySelector('#start').click()")
    page.wait_for("document.querySelector('#label').innerText")


def test_pictures_that_are_chosen_get_label_bars_and_reasons(page: Tab, pictures: list[Path]) -> None:
    page.choose_files("#files", pictures)
    page.wait_for("document.querySelectorAll('.result').length === 3")
    three, seven, notes = results(page)
    assert three.startswith("a 3.png\n3 ")
    assert seven.startswith("a 7.png\n7 ")
    assert "the other 3 classes" in seven
    assert "image must be" in notes
    assert "Traceback" not in notes
    assert page.evaluate("document.querySelectorAll('.result .thumbnail img').length") == 2
    assert page.evaluate("document.querySelector('#live').getAttribute('aria-live')") == "polite"
    page.wait_for("/a 7.png: 7|a 3.png: 3|notes.png: /.test(document.querySelector('#live').textContent)")
    page.evaluate("document.querySelector('#clear').click()")
    assert page.evaluate("document.querySelectorAll('.result').length") == 0


def test_pictures_that_are_dropped_or_pasted_get_labels(page: Tab, pictures: list[Path]) -> None:
    dragged = {"items": [], "files": [str(pictures[0])], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        page.call("Input.dispatchDragEvent", type=kind, x=200, y=300, data=dragged)
    page.wait_for("document.querySelectorAll('.result').length === 1")
    content = base64.b64encode(pictures[1].read_bytes()).decode()
    page.evaluate(
        f"""(() => {{
          const bytes = Uint8Array.from(atob("{content}"), (one) => one.charCodeAt(0));
          const clipboardData = new DataTransfer();
          clipboardData.items.add(new File([bytes], "image.png", {{type: "image/png"}}));
          document.body.dispatchEvent(new ClipboardEvent("paste", {{clipboardData, bubbles: true}}));
        }})()"""
    )
    page.wait_for("document.querySelectorAll('.result').length === 2")
    pasted, dropped = results(page)
    assert pasted.startswith("image.png\n7 ")
    assert dropped.startswith("a 3.png\n3 ")
    page.evaluate("document.dispatchEvent(new ClipboardEvent('paste', {clipboardData: new DataTransfer()}))")
    assert "The clipboard holds no picture" in page.text("#pictures-failure")


def test_the_card_says_what_the_version_can_do(page: Tab, server: Running) -> None:
    page.wait_for("!document.querySelector('#card').hidden")
    assert page.text("#version") == "Version 1, the candidate, answers."
    rows = page.evaluate("[...document.querySelectorAll('#classes tbody tr')].map((row) => row.innerText)")
    classes = server.get("/card").tree["classes"]
    assert len(rows) == len(classes) == 10
    for row, one in zip(rows, classes, strict=True):
        assert row.startswith(f"{one['name']}\t{one['recall'] * 100:.1f} % ({one['low'] * 100:.1f} % to ")
        assert row.endswith(f"\t{one['num_images']}")
    card = page.text("#card")
    assert "Measured on images from the same source" in card
    assert "8x8 gray" in card
    assert "by-hand" in card
    assert not page.text("#recording")
    assert page.problems == []


def test_a_promotion_shows_on_the_page_that_is_open(
    browser: Browser, registry: Registry, classifier: Classifier, pictures: list[Path], tmp_path: Path
) -> None:
    registry.add(classifier)
    with running(registry.home, record=tmp_path / "kept") as server, shown_page(browser, server) as page:
        page.wait_for("document.querySelector('#version').innerText === 'Version 1, the candidate, answers.'")
        assert "Recording is on" in page.text("#recording")
        registry.add(classifier)
        promote(registry.home, "digits", 2, force=True, reason="a test")
        page.wait_for("fetch('version').then((answer) => answer.json()).then(({version}) => version === 2)")
        page.choose_files("#files", pictures[:1])
        page.wait_for("document.querySelector('#version').innerText === 'Version 2, the champion, answers.'")
        page.wait_for("document.querySelector('#live').textContent")
    with (tmp_path / "kept" / "predictions.csv").open(encoding="utf-8", newline="") as stream:
        (row,) = csv.DictReader(stream)
    assert (row["label"], row["version"]) == ("3", "digits/2")
    assert (tmp_path / "kept" / row["file"]).read_bytes() == pictures[0].read_bytes()


def test_the_camera_shows_the_label_of_each_picture_ten_times_a_second(page: Tab) -> None:
    start_camera(page)
    page.evaluate(
        """(() => {
          const label = document.querySelector("#label");
          window.labels = new Set();
          const note = () => labels.add(label.textContent.split(" ")[0]);
          new MutationObserver(note).observe(label, {childList: true});
        })()"""
    )
    page.wait_for("window.labels.size >= 9")
    page.wait_for(f"Number(document.querySelector('#speed').dataset.rate) >= {LEAST_RATE}")
    assert "ms from frame to label" in page.text("#speed")
    assert page.evaluate("document.querySelectorAll('#bars li').length") == 10
    assert page.evaluate("getComputedStyle(document.querySelector('#view')).transform").startswith(
        "matrix(-1"
    )
    assert page.evaluate(LIVE_TRACKS) == 1
    page.evaluate("document.querySelector('#start').click()")
    assert page.evaluate(LIVE_TRACKS) == 0
    assert page.problems == []


def test_leaving_or_hiding_the_page_frees_the_camera(page: Tab, browser: Browser, server: Running) -> None:
    start_camera(page)
    other = browser.open()  # in front of it
    page.wait_for("document.hidden")
    page.wait_for(f"{LIVE_TRACKS} === 0")
    assert "The camera is off, because the page was hidden" in page.text("#camera-failure")
    other.close()
    page.call("Page.bringToFront")
    start_camera(page)
    page.evaluate(f"addEventListener('pagehide', () => sessionStorage.setItem('live', {LIVE_TRACKS}))")
    page.go(f"{server.address}/card")
    assert page.evaluate("sessionStorage.getItem('live')") == "0"
    asked = server.composed.server.num_answered
    page.evaluate("new Promise((resolve) => setTimeout(resolve, 300))")
    assert server.composed.server.num_answered == asked


def test_of_several_cameras_a_person_chooses_one(server: Running, tmp_path: Path) -> None:
    flags = ("--use-fake-device-for-media-stream=device-count=2", "--use-fake-ui-for-media-stream")
    with running_browser(tmp_path, *flags) as other, shown_page(other, server) as page:
        assert not page.text("#choice")
        start_camera(page)
        assert page.evaluate("document.querySelectorAll('#cameras option').length") == 2
        before = page.evaluate("tracks.at(-1).getSettings().deviceId")
        page.evaluate("document.querySelector('#cameras').focus()")
        page.press("ArrowDown")
        page.wait_for(f"tracks.at(-1).getSettings().deviceId !== {before!r}")
        page.wait_for("document.querySelector('#label').innerText")
        assert page.evaluate(LIVE_TRACKS) == 1
        assert page.problems == []


def test_a_telephone_shows_all_of_it_without_scrolling_sideways(page: Tab, pictures: list[Path]) -> None:
    page.resize(*PHONE)
    page.choose_files("#files", pictures)
    page.wait_for("document.querySelectorAll('.result').length === 3")
    results(page)
    start_camera(page)
    assert page.evaluate(OVERFLOW) == 0
    outside = page.evaluate(
        """[...document.querySelectorAll("body *:not(.box)")]
        .filter((one) => one.checkVisibility() && one.getBoundingClientRect().right > innerWidth + 1)
        .map((one) => one.outerHTML)"""
    )
    assert outside == []


def test_the_keyboard_reaches_everything_and_the_focus_shows(page: Tab, pictures: list[Path]) -> None:
    page.choose_files("#files", pictures[:1])
    results(page)
    page.evaluate("document.activeElement.blur()")
    reached = []
    for _ in range(12):
        page.press("Tab")
        found = page.evaluate(
            """(() => { const one = document.activeElement;
            const shown = one.id === "files" ? one.nextElementSibling : one;
            return [one.id || one.className || one.tagName, getComputedStyle(shown).outlineStyle]; })()"""
        )
        if found[0] in ("start", "files", "clear", "skip", "mirror", "SUMMARY"):
            assert found[1] == "solid", found
        reached.append(found[0])
    assert {"skip", "files", "clear", "start", "mirror", "SUMMARY"} <= set(reached)
    page.evaluate("document.querySelector('#start').focus()")
    page.press("Enter")
    page.wait_for("document.querySelector('#label').innerText")
    page.press("Space")
    page.wait_for(f"{LIVE_TRACKS} === 0")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_in_both_schemes(page: Tab, pictures: list[Path], scheme: str) -> None:
    page.prefer(prefers_color_scheme=scheme, prefers_reduced_motion="reduce")
    page.choose_files("#files", pictures)
    results(page)
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (light == "rgb(255, 255, 255)") == (scheme == "light")
    assert page.evaluate("getComputedStyle(document.querySelector('.bar')).transitionDuration") == "0s"
    faint = page.evaluate(CONTRASTS)
    assert faint == []


def test_a_server_that_asks_for_a_token_gets_the_one_that_a_person_types(
    browser: Browser, registered: Registry
) -> None:
    token = "long-and-secret-1"
    with running(registered.home, token=token) as server, shown_page(browser, server) as page:
        page.wait_for("!document.querySelector('#token').hidden")
        assert "This server asks for its token" in page.text("#failure")
        assert page.evaluate("document.activeElement.id") == "token-text"
        page.call("Input.insertText", text=token)
        page.press("Enter")
        page.wait_for("!document.querySelector('#card').hidden")
        assert not page.text("#failure")
        start_camera(page)


def test_the_camera_goes_on_when_a_busy_server_answers_again(browser: Browser, registered: Registry) -> None:
    with running(registered.home) as server, shown_page(browser, server) as page:
        start_camera(page)
        server.composed.server.is_open = False
        page.wait_for(
            "document.querySelector('#camera-failure').innerText.startsWith('This server is ending')"
        )
        server.composed.server.is_open = True
        page.wait_for("document.querySelector('#camera-failure').hidden")
        assert page.evaluate(LIVE_TRACKS) == 1


def test_a_refused_frame_ends_the_camera_with_the_reason(browser: Browser, registered: Registry) -> None:
    bounds = Bounds(request_bytes=100)
    with running(registered.home, bounds=bounds) as server, shown_page(browser, server) as page:
        page.evaluate("document.querySelector('#start').click()")
        page.wait_for("!document.querySelector('#camera-failure').hidden")
        assert page.text("#camera-failure").startswith("A request may have 100 bytes, and this one has more")
        assert page.evaluate(LIVE_TRACKS) == 0


def test_a_server_that_is_gone_is_told(browser: Browser, registered: Registry, pictures: list[Path]) -> None:
    with ExitStack() as while_open:
        with running(registered.home) as server:
            page = while_open.enter_context(shown_page(browser, server))
            start_camera(page)
        page.wait_for("document.querySelector('#camera-failure').innerText.includes('does not answer')")
        page.choose_files("#files", pictures[:1])
        assert "The server does not answer" in results(page)[0]


def test_a_face_is_marked_and_is_what_the_model_sees(
    browser: Browser, registered: Registry, tmp_path: Path
) -> None:
    face_picture((900, 600), at=[(450, 100, 360)]).save(tmp_path / "face.jpg", quality=95)
    with running(registered.home, finds_faces=True) as server, shown_page(browser, server) as page:
        page.wait_for("!document.querySelector('#face-pictures').hidden")
        page.choose_files("#files", [tmp_path / "face.jpg"])
        results(page)
        left, top, width, height = page.wait_for(
            """(() => {
              const box = document.querySelector(".result .box")?.style;
              return box && [box.left, box.top, box.width, box.height].map((one) => parseFloat(one) / 100);
            })()"""
        )
        assert 450 < left * 900 < (left + width) * 900 < 810
        assert 100 < top * 600 < (top + height) * 600 < 580
        start_camera(page)  # which shows no face
        assert page.evaluate("document.querySelector('#seen').className") == "box centre"


def test_nothing_of_the_page_comes_from_elsewhere(page: Tab, server: Running) -> None:
    loaded = page.evaluate("performance.getEntriesByType('resource').map((one) => one.name)")
    assert loaded
    assert [address for address in loaded if not address.startswith(server.address)] == []
    policy = page.evaluate("fetch('/').then((answer) => answer.headers.get('Content-Security-Policy'))")
    assert policy.startswith("default-src 'self'")
    assert {route.path for route in page_router().routes} >= {"/", "/page/page.js", "/page/page.css"}
    assert page.problems == []


CONTRASTS = """(() => {
  const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = (colour) => numbers(colour).slice(0, 3).map((one) => one / 255)
    .map((one) => one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4)
    .reduce((sum, one, index) => sum + one * [0.2126, 0.7152, 0.0722][index], 0);
  const ground = (one) => { for (; one; one = one.parentElement) {
    const colour = getComputedStyle(one).backgroundColor;
    if ((numbers(colour)[3] ?? 1) === 1) return colour;
  } return "rgb(255, 255, 255)"; };
  return [...document.querySelectorAll("body *")]
    .filter((one) => one.checkVisibility())
    .filter((one) => [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim()))
    .map((one) => {
      const [first, second] = [light(getComputedStyle(one).color), light(ground(one))].sort((a, b) => b - a);
      return [one.outerHTML.slice(0, 80), (first + 0.05) / (second + 0.05)];
    }).filter(([, ratio]) => ratio < 4.5);
})()"""
"""Texts whose contrast is below 4.5, which WCAG 2.2 asks for at level AA."""
