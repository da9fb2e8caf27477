"""The live page in a real browser: what people see, press and are told."""

import os
import shutil
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from film_tables import moving
from lives import a_site, an_analyzer

from mien import Analyzer
from mien.outputs.hub import LiveHub
from mien.outputs.live_routes import live_mount
from mien.outputs.server import Server, create_app
from mien.sources.frame import Frame

pytest.importorskip("fastapi")
webdriver = pytest.importorskip("selenium.webdriver")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (shutil.which("chromium") and shutil.which("chromedriver")),
        reason="needs chromium and chromedriver",
    ),
]

WAIT_S = 30.0

RECTANGLE = """
  const r = document.querySelector(arguments[0]).getBoundingClientRect();
  return [r.x, r.y, r.width, r.height];
"""
SHARE = "return document.querySelector(arguments[0]).style.getPropertyValue('--share')"
COLOURS = "return [...document.querySelectorAll('.box')].map((b) => b.style.getPropertyValue('--who'))"
MOTION = """
  const s = getComputedStyle(document.querySelector(arguments[0]), arguments[1]);
  return [s.transitionDuration, s.animationName];
"""
ACTIVE = "return document.activeElement.id || document.activeElement.className"
NAMES = """
  const all = [...document.querySelectorAll('button, a')].filter((b) => !b.hidden);
  return all.map((b) => b.textContent.trim());
"""
TOKEN = "return import('/page/inputs.js').then((inputs) => inputs.token)"
FRONT = "return document.querySelector('#film video[data-front=yes]')?.currentSrc ?? ''"
PLAYED = "return document.querySelector('#film video[data-front=yes]')?.currentTime ?? 0"
FAILURES = (
    """
  const { prototype } = HTMLCanvasElement, { toBlob } = prototype;
  window.asked = 0;
  prototype.toBlob = function (done, ...how) {
    window.asked++ ? toBlob.call(this, done, ...how) : done(null);
  };
""",
    """
  const { createImageBitmap } = window;
  window.asked = 0;
  window.createImageBitmap = async (...what) => {
    if (!window.asked++) throw new Error("No.");
    return createImageBitmap(...what);
  };
""",
)
"""The first picture fails; they count how often one is taken."""
YELLOW_PIXELS = """
  const c = document.getElementById('timeline');
  const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
  let n = 0;
  for (let i = 0; i < d.length; i += 4) {
    n += Math.abs(d[i] - 240) + Math.abs(d[i + 1] - 228) + Math.abs(d[i + 2] - 66) < 60;
  }
  return n;
"""


class Page:
    """A tab of the browser."""

    def __init__(self, driver):
        self.driver = driver

    def open(self, url):
        self.driver.get("about:blank")
        self.driver.get_log("browser")
        self.driver.get(url)

    def run(self, script, *values):
        return self.driver.execute_script(script, *values)

    @property
    def state(self):
        return dict(self.run("return {...document.body.dataset}"))

    def count(self, selector):
        return self.run("return document.querySelectorAll(arguments[0]).length", selector)

    def text(self, selector):
        return self.run("return document.querySelector(arguments[0])?.textContent", selector)

    def data(self, selector, name):
        return self.run("return document.querySelector(arguments[0])?.dataset[arguments[1]]", selector, name)

    def wait(self, check, what):
        until = time.monotonic() + WAIT_S
        while time.monotonic() < until:
            if found := check():
                return found
            time.sleep(0.05)
        complaints = [entry["message"] for entry in self.driver.get_log("browser")]
        raise AssertionError(f"{what}: {self.state}, {complaints}")

    def until(self, **state):
        def reached():
            now = self.state
            return all(now.get(name) == value for name, value in state.items())

        self.wait(reached, f"not {state}")

    def press(self, key):
        from selenium.webdriver.common.action_chains import ActionChains

        ActionChains(self.driver).send_keys(key).perform()

    def size(self, width, height):
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def complaints(self):
        """What the browser complained of, but for connections that were refused while the server was away."""
        return [e for e in self.driver.get_log("browser") if "ERR_CONNECTION_REFUSED" not in e["message"]]


def open_browser(film=None):
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for word in (
        "headless=new",
        "no-sandbox",
        "disable-dev-shm-usage",
        "disable-gpu",
        "window-size=1280,800",
    ):
        options.add_argument(f"--{word}")
    if film is not None:
        options.add_argument("--use-fake-device-for-media-stream")
        options.add_argument("--use-fake-ui-for-media-stream")
        options.add_argument(f"--use-file-for-fake-video-capture={film}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))


@pytest.fixture(scope="module")
def browser():
    driver = open_browser()
    yield driver
    driver.quit()


@pytest.fixture
def page(browser):
    page = Page(browser)
    page.size(1280, 800)
    return page


class Show:
    """Publishes a picture of people again and again, as a camera would."""

    def __init__(self, emotions=("happiness",), size_px=(320, 240)):
        self.hub = LiveHub(source="camera 0", emotions=tuple(moving([]).labels), model="table")
        self.emotions = list(emotions)
        self.tracks = None
        self.index = 0

    def frames(self, count=1):
        for _ in range(count):
            now = time.monotonic()
            image = np.full((240, 320, 3), (30, 60, 90), np.uint8)
            image[60:180, 100:220] = (200, 170, 150)
            time_s = self.index / 25
            frame = Frame(image, index=self.index, time_s=time_s, source="camera", captured_s=now)
            readings = moving(self.emotions, index=self.index, time_s=time_s, tracks=self.tracks)
            self.hub.publish(frame, replace(readings, captured_s=now))
            self.index += 1

    def until(self, page, **state):
        """Go on until the page is in a state."""

        def reached():
            self.frames()
            now = page.state
            return all(now.get(name) == value for name, value in state.items())

        page.wait(reached, f"not {state}")


@pytest.fixture
def show():
    return Show()


@pytest.fixture
def site(show):
    with a_site(show.hub) as site:
        yield site


def test_boxes_bars_and_numbers(page, show, site):
    page.open(site.url)
    show.until(page, faces="1", connection="open", state="running", pictured="yes")
    assert page.data(".box", "emotion") == "happiness"
    box = [int(v) for v in page.data(".box", "box").split()]
    assert box == [round(v) for v in moving(["fear"]).faces.box_xyxy[0].tolist()]
    assert page.text(".card .shown") == "happiness"
    assert float(page.run(SHARE, ".bar[data-emotion=happiness]")) == pytest.approx(0.8)
    assert page.count(".bar") == 8
    assert float(page.data("#latency", "ms")) >= 0
    assert "expressions are being read" in page.text("#notice-text")
    assert page.complaints() == []  # nor about its own security policy


def test_the_box_lies_over_the_face(page, show, site):
    page.open(site.url)
    show.until(page, faces="1", pictured="yes")
    for mirror in (False, True):
        if mirror:
            page.press("m")
            show.frames(3)
            page.wait(lambda: page.state["mirror"] == "yes", "not mirrored")
            show.until(page, faces="1")
        x, y, width, _ = page.run(RECTANGLE, "#canvas")
        scale = width / 320
        left, top, right, bottom = moving(["fear"]).faces.box_xyxy[0].tolist()
        if mirror:
            left, right = 320 - right, 320 - left
        wanted = [x + left * scale, y + top * scale, (right - left) * scale, (bottom - top) * scale]
        assert page.run(RECTANGLE, ".box") == pytest.approx(wanted, abs=2)


@pytest.mark.parametrize("people", [0, 1, 2, 3, 6, 12])
def test_any_number_of_people(page, show, site, people):
    show.emotions = ["happiness", "fear", "neutral", "anger"] * 3
    show.emotions = show.emotions[:people]
    page.open(site.url)
    show.until(page, faces=str(people), pictured="yes")
    assert page.count(".box:not([hidden])") == people
    assert page.count(".card:not([hidden])") == min(people, 8)
    colours = page.run(COLOURS)
    assert len(set(colours)) == min(people, 8)  # everyone's own
    assert page.run("return getComputedStyle(document.getElementById('nobody')).display") == (
        "none" if people else "block"
    )


def test_who_goes_is_forgotten(page, show, site):
    show.emotions = ["happiness", "fear"]
    page.open(site.url)
    show.until(page, faces="2")
    show.emotions = []
    show.until(page, faces="0", cards="0")
    assert page.count(".box") == 0


def test_a_day_of_visitors_leaves_nothing_behind(page, show, site):
    page.open(site.url)
    for track in range(60):
        show.emotions, show.tracks = ["happiness", "fear"], [track, track + 1]
        show.until(page, faces="2")
        page.wait(lambda track=track: page.count(f".card[data-track='{track + 1}']") == 1, "not met")
    show.tracks = [60, 61]
    show.until(page, cards="2")  # who went is forgotten soon
    assert page.count(".card") == page.count(".box") == 2


def test_the_words_of_a_state_stand_over_a_film(page, show, tmp_path):
    film = film_of(tmp_path / "door.webm")
    with a_site(show.hub, clips={"door.webm": film}) as site:
        page.open(site.url)
        show.until(page, faces="1")
        event = {
            "type": "decision",
            "time_s": 0.0,
            "cue": "go",
            "track": 0,
            "reason": "",
            "clip": "door.webm",
        }
        show.hub.tell(event)
        show.until(page, film="yes")
        show.hub.set_state("waiting", "Camera 0 is gone; it is looked for.")
        page.until(said="The camera does not answer")
        found = page.run(
            "const r = document.getElementById('message-title').getBoundingClientRect();"
            "document.getElementById('message').style.pointerEvents = 'auto';"
            "return document.elementFromPoint(r.x + r.width / 2, r.y + r.height / 2).id"
        )
        assert found in ("message-title", "message")


@pytest.mark.parametrize("size", [(1920, 1080), (1280, 720), (1024, 768), (800, 600), (390, 844), (320, 568)])
@pytest.mark.parametrize("view", ["desk", "stage"])
def test_nothing_is_wider_than_the_window(page, show, site, size, view):
    show.emotions = ["happiness", "fear", "neutral"]
    page.size(*size)
    page.open(f"{site.url}/?view={view}")
    show.until(page, faces="3", view=view)
    assert page.run("return document.documentElement.scrollWidth") <= size[0]
    left, top, width, height = page.run(RECTANGLE, "#notice-text")
    assert (
        0 <= left <= left + width <= size[0] and 0 <= top < size[1] - height and height > 0
    )  # always to be read


def test_keys(page, show, site):
    page.open(site.url)
    show.until(page, faces="1", view="desk", boxes="yes", mirror="no")
    for key, name, on, off in (
        ("f", "view", "stage", "desk"),
        ("m", "mirror", "yes", "no"),
        ("b", "boxes", "no", "yes"),
    ):
        page.press(key)
        page.until(**{name: on})
        page.press(key)
        page.until(**{name: off})
    page.press("?")
    assert page.run("return document.getElementById('help').open")
    page.press("?")
    assert not page.run("return document.getElementById('help').open")


def test_everything_can_be_reached_by_keyboard(page, show, site):
    from selenium.webdriver.common.keys import Keys

    page.open(site.url)
    show.until(page, faces="1")
    reached = []
    for _ in range(8):
        page.press(Keys.TAB)
        reached.append(page.run(ACTIVE))
    wanted = ["skip", "switch", "mirror", "full", "help-open"]
    assert [name for name in reached if name in wanted][: len(wanted)] == wanted
    names = page.run(NAMES)
    assert all(names)


def test_the_camera_that_does_not_answer(page, show, site):
    page.open(site.url)
    show.until(page, faces="1")
    show.hub.set_state("waiting", "Camera 0 is gone; it is looked for.")
    page.until(said="The camera does not answer", state="waiting")
    assert page.text("#message-more") == "Camera 0 is gone; it is looked for."
    show.until(page, said="", state="running")
    show.hub.set_state("ended", "The source has no more frames.")
    page.until(said="It is over")


def test_decisions_are_shown_with_their_reasons(page, show, site):
    page.open(site.url)
    show.until(page, faces="1")
    show.hub.tell(
        {"type": "decision", "time_s": 3.5, "cue": "B", "track": 0, "reason": "face 0 <b>displayed</b> fear"}
    )
    page.wait(lambda: page.count("#event-list li") == 1, "no decision")
    assert page.data("#event-list li", "cue") == "B"
    assert page.text("#event-list li") == "3.5 sB face 0 <b>displayed</b> fear"  # words, never markup
    for i in range(40):
        show.hub.tell(
            {"type": "decision", "time_s": 4.0 + i, "cue": f"C{i}", "track": None, "reason": "time"}
        )
    page.wait(lambda: page.data("#event-list li", "cue") == "C39", "not the last")
    assert page.count("#event-list li") == 12  # and not more with the days
    page.open(site.url)  # who comes back is told again, each once
    show.until(page, faces="1")
    page.wait(lambda: page.data("#event-list li", "cue") == "C39", "not told again")


def test_the_connection_survives_a_restart_of_the_server(page, show):
    with a_site(show.hub) as site:
        port = int(site.url.rpartition(":")[2])
        page.open(site.url)
        show.until(page, faces="1", connection="open")
    page.until(connection="lost", said="The connection is lost")
    after = Show(["fear"])
    with Server(create_app(an_analyzer(), live=live_mount(after.hub)), port=port):
        after.until(page, connection="open", faces="1", said="")
        page.wait(lambda: page.data(".box", "emotion") == "fear", "not the new run")
    assert page.complaints() == []


def test_a_token_is_asked_for_and_taken_from_the_address(page, show):
    with a_site(show.hub, token="not-to-be-guessed") as site:
        page.open(site.url)
        page.wait(lambda: "needs its token" in page.state.get("said", ""), "no word of the token")
        page.open(f"{site.url}/#token=not+to-be-guessed")  # a plus is no space
        page.wait(lambda: "needs its token" in page.state.get("said", ""), "no word of the token")
        assert page.run(TOKEN) == "not+to-be-guessed"
        page.run("location.hash = 'token=not-to-be-guessed'")  # as one mends the address
        show.until(page, faces="1", connection="open")
        page.run("location.hash = 'people'")  # a link in the page
        show.until(page, faces="1", connection="open")
        assert page.run(TOKEN) == "not-to-be-guessed"


def test_motion_is_reduced_where_that_is_wished(page, show, site):
    wish = {"features": [{"name": "prefers-reduced-motion", "value": "reduce"}]}
    page.open(site.url)
    show.until(page, faces="1")
    assert page.run(MOTION, ".box", None)[1] == "appear"
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", wish)
    try:
        page.open(site.url)
        show.until(page, faces="1")
        for selector, part in ((".box", None), (".card", None), (".eye", None), (".bar i", "::after")):
            assert page.run(MOTION, selector, part) == ["0s", "none"]
    finally:
        page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_the_line_of_time_is_drawn_in_the_colour_of_the_expression(page, show, site):
    page.open(site.url)
    show.until(page, faces="1")
    until = time.monotonic() + 1.5
    while time.monotonic() < until:
        show.frames()
        time.sleep(0.04)
    assert page.run(YELLOW_PIXELS) > 5


def film_of(path, seconds=1.0):
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("libvpx", rate=25)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        for i in range(int(25 * seconds)):
            image = np.full((120, 160, 3), (i * 3 % 255, 90, 40), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    return path


def test_the_film_of_a_story_follows_its_decisions(page, show, tmp_path):
    clips = {name: film_of(tmp_path / name) for name in ("door.webm", "stairs.webm")}
    with a_site(show.hub, clips=clips) as site:
        page.open(site.url)
        show.until(page, faces="1")
        for clip in clips:
            show.hub.tell(
                {
                    "type": "decision",
                    "time_s": show.index / 25,
                    "cue": "go",
                    "track": 0,
                    "reason": "",
                    "clip": clip,
                }
            )
            show.until(page, film="yes", clip=clip)
            page.wait(lambda clip=clip: page.run(FRONT).endswith(clip), "not this clip")
        assert page.complaints() == []


def test_a_changed_story_plays_in_a_page_that_was_open(page, show, tmp_path):
    clips = {name: film_of(tmp_path / name, seconds=8.0) for name in ("door.webm", "stairs.webm")}
    decision = {
        "type": "decision",
        "time_s": 0.0,
        "cue": "go",
        "track": 0,
        "reason": "",
        "clip": "stairs.webm",
    }
    show.index = 25_000  # a run that lasted
    with a_site(show.hub, clips={"door.webm": clips["door.webm"]}) as site:
        port = int(site.url.rpartition(":")[2])
        page.open(site.url)
        show.until(page, faces="1", connection="open")
    page.until(connection="lost")
    after = Show()
    after.hub.tell(decision)
    with Server(create_app(an_analyzer(), live=live_mount(after.hub, clips=clips)), port=port):
        page.until(connection="open", film="yes", clip="stairs.webm")
        assert page.run(PLAYED) < 6  # it begins at its beginning: the old run's time is not this one's


# The browser's own camera


def as_camera(path, pictures):
    """Write pictures as the film that Chromium's fake camera plays, again and again."""
    with path.open("wb") as file:
        for picture in pictures:
            file.write(cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])[1].tobytes())
    return path


def drifting(portrait, count=40):
    """Move a portrait a little to and fro in a frame of 640 x 480."""
    face = cv2.resize(portrait, (480, 480), interpolation=cv2.INTER_AREA)
    for i in range(count):
        canvas = np.full((480, 640, 3), 60, np.uint8)
        x = 80 + round(40 * np.sin(2 * np.pi * i / count))
        canvas[:, x : x + 480] = face
        yield canvas


@contextmanager
def own_camera(film):
    driver = open_browser(film)
    try:
        yield Page(driver)
    finally:
        driver.quit()


def most_shown(page, seconds):
    """Return what the page shows most often for a while."""
    shown = []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        shown.append(page.data(".box:not([hidden])", "emotion"))
        time.sleep(0.05)
    return max(set(shown), key=shown.count)


def test_the_browsers_own_camera(tmp_path):
    data = pytest.importorskip("skimage.data")
    film = as_camera(tmp_path / "camera.mjpeg", drifting(data.astronaut()))
    with (
        Server(create_app(Analyzer(threads=1), live=live_mount()), port=0) as server,
        own_camera(film) as page,
    ):
        page.open(server.url)
        page.until(said="See what your face shows", input="none")
        assert page.count(".box") == 0  # the camera is not opened before somebody wants it
        page.run("document.getElementById('message-act').click()")
        page.until(input="browser", connection="open", faces="1", pictured="yes", mirror="yes")
        assert most_shown(page, 3) == "happiness"
        left, top, right, bottom = (int(v) for v in page.data(".box", "box").split())
        assert 100 < (left + right) / 2 < 500 and 30 < (top + bottom) / 2 < 250  # the astronaut's face
        assert float(page.data("#latency", "ms")) > 0
        assert page.complaints() == []


@pytest.mark.parametrize("fails", FAILURES)
def test_a_picture_that_cannot_be_taken_is_passed_over(tmp_path, fails):
    pictures = [np.full((240, 320, 3), (value, 90, 40), np.uint8) for value in range(0, 200, 5)]
    film = as_camera(tmp_path / "camera.mjpeg", pictures)
    with a_site() as site, own_camera(film) as page:
        page.open(f"{site.url}/?input=browser")
        page.until(connection="open", faces="1")
        page.run(fails)
        page.wait(lambda: page.run("return window.asked") > 5, "no picture after one that failed")
        page.until(connection="open", faces="1", said="")


def test_a_camera_that_is_refused_is_explained(page):
    with a_site() as site:
        page.driver.execute_cdp_cmd(
            "Browser.setPermission",
            {"permission": {"name": "camera"}, "setting": "denied", "origin": site.url},
        )
        page.open(f"{site.url}/?input=browser")
        page.wait(lambda: "camera" in page.state.get("said", ""), "no word")
        assert page.text("#message-act") == "Try again"


@pytest.fixture
def clips():
    folder = Path(os.environ.get("MIEN_DATA", "../shared/data")) / "clips"
    if not folder.is_dir():
        pytest.skip("needs clips of real faces in MIEN_DATA")
    return folder


@pytest.mark.realdata
def test_a_real_clip_in_the_browsers_camera(tmp_path, clips):
    from collections import Counter

    import av

    with av.open(str(clips / "student.mkv")) as container:
        pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    analyzer = Analyzer(threads=1)
    watcher = analyzer.watch()
    offline = [watcher.read(Frame(p, index=i, time_s=i / 30)) for i, p in enumerate(pictures)]
    wanted = Counter(name for readings in offline for name in readings.displayed or ()).most_common(1)[0][0]
    film = as_camera(tmp_path / "camera.mjpeg", pictures + pictures[::-1])
    with Server(create_app(analyzer, live=live_mount()), port=0) as server, own_camera(film) as page:
        page.open(f"{server.url}/?input=browser")
        page.until(faces="1", connection="open")
        assert most_shown(page, 4) == wanted
