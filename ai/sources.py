"""The stored files of one exam, decoded as needed: what can be read, what cannot and why, and previews of both."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path

from ai.decoding import PixelError, StoredImage, read_image
from ai.exam import View
from ai.pixels import BreastImage, preview, read_breast
from ai.reasons import Reason, ReasonCode

_log = logging.getLogger(__name__)

#: Previews of images that are not read are for the person who looks why; a study may hold hundreds of images.
MOST_PREVIEWS = 8


class Sources:
    """Decoded images of one exam, kept while it is read.

    breasts: SOP Instance UID → a view fit to be read. unreadable: the reasons of those that proved unfit.
    """

    def __init__(self, files: Mapping[str, Path]) -> None:
        self._files = files
        self._images: dict[str, StoredImage] = {}
        self.breasts: dict[str, BreastImage] = {}
        self.unreadable: list[Reason] = []

    def prepare(self, views: Iterable[View]) -> bool:
        """Decode the views and find their breasts. False when one of them proved unfit, which is then noted."""
        before = len(self.unreadable)
        for view in views:
            if view.sop_instance_uid not in self.breasts:
                self._prepare_one(view)
        return len(self.unreadable) == before

    def _prepare_one(self, view: View) -> None:
        uid = view.sop_instance_uid
        try:
            self.breasts[uid] = read_breast(view, self._image(uid))
        except PixelError as error:
            self.unreadable.append(error.reason(uid))
        except Exception as error:  # noqa: BLE001 whatever an image does to us, the exam gets an answer
            _log.exception("image %s could not be prepared", uid)
            self.unreadable.append(Reason(ReasonCode.PIXEL_DATA_UNDECODABLE, uid, type(error).__name__))

    def _image(self, uid: str) -> StoredImage:
        if uid not in self._images:
            if uid not in self._files:
                raise PixelError(ReasonCode.INSTANCE_UNREADABLE, "no file")
            self._images[uid] = read_image(self._files[uid], uid)
        return self._images[uid]

    def previews(self, views: Iterable[View]) -> dict[str, bytes]:
        """PNGs of the mammography images among `views`, those prepared first, at most `MOST_PREVIEWS`.

        An image that cannot be decoded, or has more than one frame, has none.
        """
        shown: dict[str, bytes] = {}
        mammograms = [view for view in views if view.modality == "MG" and view.number_of_frames <= 1]
        for view in sorted(mammograms, key=lambda view: view.sop_instance_uid not in self.breasts):
            if len(shown) == MOST_PREVIEWS:
                break
            if png := self._preview(view.sop_instance_uid):
                shown[view.sop_instance_uid] = png
        return shown

    def _preview(self, uid: str) -> bytes | None:
        try:
            prepared = self.breasts.get(uid)
            return preview(self._image(uid), prepared.breast if prepared else None)
        except PixelError:
            return None
        except Exception:  # noqa: BLE001 a preview is an extra
            _log.exception("no preview of image %s", uid)
            return None
