"""OHIF on loopback: its files, its settings, and the DICOMweb servers it shows, all from loopback."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.support import REPOSITORY, absent, serving

VERSION = "3.13.2"  # scripts/peers.sh fetches it
_DIST = REPOSITORY / ".peers" / f"ohif-{VERSION}"
_PASSED_ON = ("accept", "content-type", "range")
#: Nothing on this machine goes through a proxy.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def ohif_files() -> Path:
    """The built viewer; without it the test is skipped with the command that fetches it."""
    if not (_DIST / "index.html").is_file():
        absent(f"OHIF {VERSION} is not there: scripts/peers.sh fetches it (needs npm)")
    return _DIST


@contextmanager
def ohif(direct: Mapping[str, str], handed_on: Mapping[str, str]) -> Iterator[str]:
    """The viewer's address, for the length of the block. The servers it shows: name → DICOMweb base URL.

    direct: servers that let a page from elsewhere read their answers (CORS), which the browser asks itself.
    handed_on: servers that do not; they are shown below the viewer's own origin.
    """
    files = ohif_files()
    roots = {**{name: f"/{name}/dicom-web" for name in handed_on}, **direct}
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(files, app_config(roots), handed_on))
    server.daemon_threads = True
    with serving(server):
        yield f"http://127.0.0.1:{server.server_address[1]}"


def app_config(roots: Mapping[str, str]) -> str:
    """app-config.js: everything is fetched as DICOMweb. roots: name → base URL."""
    config = {
        "routerBasename": "/",
        "extensions": [],
        "modes": [],
        "showStudyList": True,
        "maxNumberOfWebWorkers": 1,
        "showWarningMessageForCrossOrigin": False,
        "showCPUFallbackMessage": False,
        "showLoadingIndicator": True,
        "investigationalUseDialog": {"option": "never"},
        "defaultDataSourceName": next(iter(roots)),
        "dataSources": [_data_source(name, root) for name, root in roots.items()],
    }
    return f"window.config = {json.dumps(config)};"


def _data_source(name: str, root: str) -> dict[str, Any]:
    configuration = {
        "friendlyName": name,
        "name": name,
        "wadoUriRoot": root,
        "qidoRoot": root,
        "wadoRoot": root,
        "qidoSupportsIncludeField": False,
        "imageRendering": "wadors",
        "thumbnailRendering": "wadors",
        "enableStudyLazyLoad": True,
        "supportsFuzzyMatching": False,
        "supportsWildcard": True,
        "omitQuotationForMultipartRequest": True,
        "bulkDataURI": {"enabled": True, "relativeResolution": "studies"},
    }
    namespace = "@ohif/extension-default.dataSourcesModule.dicomweb"
    return {"namespace": namespace, "sourceName": name, "configuration": configuration}


def _handler(files: Path, settings: str, handed_on: Mapping[str, str]) -> type[SimpleHTTPRequestHandler]:
    class Handler(SimpleHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments, directory=str(files))

        def end_headers(self) -> None:
            # the viewer is 60 MB of files that never change; settings and images are small
            self.send_header("cache-control", "max-age=3600")
            super().end_headers()

        def log_message(self, *_arguments: object) -> None:
            """Nobody reads it."""

        def do_GET(self) -> None:
            name, _, rest = self.path.lstrip("/").partition("/dicom-web")
            if name in handed_on:
                self._hand_on(handed_on[name] + rest)
            elif self.path.split("?")[0] == "/app-config.js":
                self._answer(200, {"content-type": "text/javascript"}, settings.encode())
            else:
                # a path of the viewer's own routing is its one page
                if not Path(self.translate_path(self.path)).is_file():
                    self.path = "/index.html"
                super().do_GET()

        def _hand_on(self, url: str) -> None:
            passed = {name: value for name in _PASSED_ON if (value := self.headers.get(name))}
            try:
                with _OPENER.open(urllib.request.Request(url, headers=passed), timeout=60) as answer:
                    content, status, headers = answer.read(), answer.status, answer.headers
            except urllib.error.HTTPError as error:
                content, status, headers = error.read(), error.code, error.headers
            self._answer(status, {"content-type": headers.get("content-type", "text/plain")}, content)

        def _answer(self, status: int, headers: Mapping[str, str], content: bytes) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    return Handler
