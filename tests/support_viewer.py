"""A real OHIF in a real Chromium, worked like a person does, and what it then shows: marks, texts, pixels, faults.

What is drawn is read where it is drawn (the SVG over the canvas) and brought back to stored pixels with the
transformation that the viewer itself displays the image by.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Route, sync_playwright

from tests.support import REPOSITORY, require_tool

#: Screenshots of the latest run; git does not keep them.
PICTURES = REPOSITORY / "browser-pictures"
WAIT_S = 60.0
_WINDOW = {"width": 1600, "height": 1000}
#: Software rendering, and nothing of Chromium's own traffic.
_FLAGS = [
    *("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist"),
    *("--disable-quic", "--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--no-first-run", "--disable-dev-shm-usage"),
]
_NO_TOUR = "localStorage.setItem('shownTours', JSON.stringify(['basicViewerTour']))"

_DISPLAY_SETS = "services.displaySetService.getActiveDisplaySets()"
_FIRST_VIEWPORT = "cornerstone.getRenderingEngines().flatMap(engine => engine.getViewports())[0]"
_SHOWN = f"(() => {{ const viewport = {_FIRST_VIEWPORT}; return viewport && viewport.getCurrentImageId?.() || '' }})()"
#: Every drawn region: its corners on the canvas, and as columns and rows of the stored image.
_MARKS = f"""() => {{
    const viewport = {_FIRST_VIEWPORT}, imageId = viewport.getCurrentImageId();
    const stored = corner => cornerstone.utilities.worldToImageCoords(imageId, viewport.canvasToWorld(corner));
    return [...document.querySelectorAll('svg.svg-layer polyline')].map(line => {{
        const canvas = [...line.points].map(point => [point.x, point.y]);
        return {{ imageId, canvas, stored: canvas.map(stored) }};
    }});
}}"""
#: Tracking UID → the lines of text beside a region.
_TEXTS = """() => Object.fromEntries([...document.querySelectorAll('svg.svg-layer g[data-annotation-uid]')].map(group =>
    [group.dataset.annotationUid, [...group.querySelectorAll('tspan')].map(line => line.textContent)]))"""
_TOASTS = "() => [...document.querySelectorAll('[data-sonner-toast], [role=alertdialog]')].map(e => e.innerText)"


@dataclass(frozen=True)
class Mark:
    """A region as drawn: its image, and its corners as (column, row) of stored pixels and as (x, y) of the canvas."""

    sop_instance_uid: str
    stored: np.ndarray
    canvas: np.ndarray


class Viewer:
    """One page with OHIF. faults: what the page, the browser or the server complained of since it was opened."""

    def __init__(self, page: Page, url: str, *servers: str) -> None:
        """servers: base URLs of what it may ask beside its own origin."""
        self._page = page
        self._url = url
        self._allowed = (url, *servers, "blob:", "data:")
        self.faults: list[str] = []
        page.on("pageerror", lambda error: self.faults.append(f"exception: {error}"))
        page.on("console", self._console)
        page.on("requestfailed", lambda request: self.faults.append(f"{request.failure}: {request.url}"))
        page.route("**/*", self._only_here)

    def open(self, source: str, study: str, count: int) -> None:
        """Open a study of `count` series and wait for its first image."""
        self._page.goto(f"{self._url}/viewer/{source}?StudyInstanceUIDs={study}")
        self._until(f"window.services && {_DISPLAY_SETS}.length === {count}", f"{count} series to be listed")
        self._until(f"window.cornerstone && {_SHOWN} !== ''", "an image in the viewport")
        self._until_drawn()

    def show(self, series_number: int, sop_instance_uid: str = "") -> None:
        """Double-click a series in the browser of the study; wait for the image `sop_instance_uid` where given."""
        self._page.locator(f"[data-series='{series_number}']").first.dblclick()
        if sop_instance_uid:
            self._until(f"{_SHOWN}.includes('/{sop_instance_uid}/')", f"{sop_instance_uid} to be shown")
            self._until_drawn()

    def marks(self, count: int) -> list[Mark]:
        """The `count` regions drawn on the image at hand."""
        self._until(f"document.querySelectorAll('svg.svg-layer polyline').length === {count}", f"{count} marks")
        return [_mark(found) for found in self._page.evaluate(_MARKS)]

    def texts(self) -> dict[str, list[str]]:
        """Tracking UID → the lines drawn beside its region."""
        return dict(self._page.evaluate(_TEXTS))

    def series(self) -> dict[int, str]:
        """Number → modality of every series that is listed."""
        script = f"{_DISPLAY_SETS}.map(each => [each.SeriesNumber, each.Modality])"
        return {int(number): modality for number, modality in self._page.evaluate(script)}

    def canvas(self) -> np.ndarray:
        """What is painted in the viewport, without what is drawn over it: rows × columns × RGB."""
        return _pixels(self._page.evaluate(f"{_FIRST_VIEWPORT}.getCanvas().toDataURL('image/png')"))

    def thumbnail(self, series_number: int) -> np.ndarray:
        """The picture by which the series is listed: rows × columns × RGB."""
        image = f"document.querySelector(\"[data-series='{series_number}'] img\")"
        self._until(
            f"{image} && {image}.complete && {image}.naturalWidth > 0", f"a thumbnail of series {series_number}"
        )
        script = f"""() => {{
            const image = {image}, canvas = document.createElement('canvas');
            [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
            canvas.getContext('2d').drawImage(image, 0, 0);
            return canvas.toDataURL('image/png');
        }}"""
        return _pixels(self._page.evaluate(script))

    def toasts(self) -> list[str]:
        """What it tells its user in passing, and its error dialogs."""
        return list(self._page.evaluate(_TOASTS))

    def until_told(self) -> str:
        """What it tells in passing, once it does."""
        self._until(f"({_TOASTS})().length > 0", "a message")
        return " ".join(self.toasts()).replace("\n", " ")

    def may_move_marks_of(self, series_number: int) -> bool:
        """Whether it asks to go on measuring with an open report's marks, which its user can then move."""
        script = f"{_DISPLAY_SETS}.find(each => each.SeriesNumber == {series_number})"
        self._until(f"{script}.isLoaded", f"the report in series {series_number} to be open")
        return bool(self._page.evaluate(f"{script}.isRehydratable"))

    def picture(self, name: str) -> Path:
        """A screenshot among the artefacts of this run."""
        PICTURES.mkdir(exist_ok=True)
        path = PICTURES / f"{name}.png"
        self._page.screenshot(path=path)
        print(f"screenshot: {path}")
        return path

    def _until(self, script: str, what: str) -> None:
        try:
            self._page.wait_for_function(script, timeout=WAIT_S * 1000, polling=100)
        except Exception as error:
            path = self.picture("waited-in-vain")
            raise AssertionError(f"waited {WAIT_S:g} s for {what}; see {path}; faults: {self.faults}") from error

    def _until_drawn(self) -> None:
        """The image's pixels are there, and painted: a frame went by after they came."""
        self._until(f"{_FIRST_VIEWPORT}.getImageData?.()?.scalarData?.length > 0", "the image's pixels")
        self._page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.faults.append(f"console: {message.text}")

    def _only_here(self, route: Route) -> None:
        """Nothing is asked of another machine."""
        if route.request.url.startswith(self._allowed):
            route.continue_()
        else:
            self.faults.append(f"asks another machine: {route.request.url}")
            route.abort()


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's Chromium without a screen, for the length of the block."""
    program = require_tool("chromium")
    with sync_playwright() as playwright:
        # no sandbox: as root, as on CI, Chromium does not start with one
        browser = playwright.chromium.launch(executable_path=program, args=_FLAGS, chromium_sandbox=False)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def window(browser: Browser) -> Iterator[BrowserContext]:
    """A browser's profile, whose pages share what was fetched once."""
    context = browser.new_context(viewport=_WINDOW, service_workers="block")
    context.add_init_script(_NO_TOUR)
    try:
        yield context
    finally:
        context.close()


def displacement(
    mark: Mark, painted: np.ndarray, stored: np.ndarray, corners: np.ndarray, reach: int = 6
) -> tuple[int, int]:
    """How far (x, y) in pixels of the screen the picture beneath a mark is from where the mark says it is.

    corners: the mark's corners (column, row) as the report has them, on the image with the pixels `stored`. What the
    report's box holds is looked for in `painted`, `reach` pixels around the drawn box.
    """
    (left, top), (right, bottom) = mark.canvas.min(axis=0), mark.canvas.max(axis=0)
    low, high = corners.min(axis=0), corners.max(axis=0)
    x, y = np.meshgrid(np.arange(round(left), round(right)), np.arange(round(top), round(bottom)))
    columns = low[0] + (x + 0.5 - left) / (right - left) * (high[0] - low[0])
    rows = low[1] + (y + 0.5 - top) / (bottom - top) * (high[1] - low[1])
    expected = stored[rows.astype(int), columns.astype(int)].astype(float)
    shifts = [(dx, dy) for dy in range(-reach, reach + 1) for dx in range(-reach, reach + 1)]
    grey = painted[..., 0].astype(float)
    return max(shifts, key=lambda shift: np.corrcoef(grey[y + shift[1], x + shift[0]].ravel(), expected.ravel())[0, 1])


def likeness(painted: np.ndarray, picture: np.ndarray) -> float:
    """Correlation of what is painted with a picture fitted into the middle of it; 1 for the same."""
    height, width = painted.shape[:2]
    scale = min(height / picture.shape[0], width / picture.shape[1])
    size = (round(picture.shape[1] * scale), round(picture.shape[0] * scale))
    fitted = Image.new("RGB", (width, height))
    fitted.paste(Image.fromarray(picture).resize(size), ((width - size[0]) // 2, (height - size[1]) // 2))
    return float(np.corrcoef(painted.ravel(), np.asarray(fitted).ravel())[0, 1])


def _mark(found: dict[str, Any]) -> Mark:
    uid = found["imageId"].split("/instances/")[1].split("/")[0]
    return Mark(uid, np.array(found["stored"]), np.array(found["canvas"]))


def _pixels(data_url: str) -> np.ndarray:
    content = base64.b64decode(data_url.partition(",")[2])
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
