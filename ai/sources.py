"""The stored files of one exam, decoded as needed: what can be read, what cannot and why, and previews of both."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeVar

from ai.decoding import PixelError, StoredImage, read_image
from ai.exam import View
from ai.pixels import BreastImage, preview, read_breast
from ai.reasons import Reason, ReasonCode
from ai.spread import spread

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")
_log = logging.getLogger(__name__)

#: Previews of images that are not read are for the person who looks why; a study may hold hundreds of images.
MOST_PREVIEWS = 8


class Sources:
    """Decoded images of one exam, kept while it is read.

    breasts: SOP Instance UID → a view fit to be read. unreadable: the reasons of those that proved unfit.
    """

    def __init__(self, files: Mapping[str, Path], threads: int = 1) -> None:
        self._files = files
        self._threads = threads
        self._images: dict[str, StoredImage] = {}
        self.breasts: dict[str, BreastImage] = {}
        self.unreadable: list[Reason] = []

    def prepare(self, views: Iterable[View]) -> bool:
        """Decode the views and find their breasts. False when one of them proved unfit, which is then noted.

        Raises MemoryError.
        """
        waiting = [view for view in views if view.sop_instance_uid not in self.breasts]
        prepared = self._each(self._prepare_one, waiting)
        self.breasts |= {each.view.sop_instance_uid: each for each in prepared if isinstance(each, BreastImage)}
        unfit = [each for each in prepared if isinstance(each, Reason)]
        self.unreadable += unfit
        return not unfit

    def _each(self, function: Callable[[_Item], _Result], items: Iterable[_Item]) -> list[_Result]:
        with warnings.catch_warnings():  # on threads, those of the decoders are safe only within one round them all
            warnings.simplefilter("ignore")
            return spread(function, items, self._threads)

    def _prepare_one(self, view: View) -> BreastImage | Reason:
        uid = view.sop_instance_uid
        try:
            return read_breast(view, self._image(uid))
        except PixelError as error:
            return error.reason(uid)
        except MemoryError:  # says nothing of the image
            raise
        except Exception as error:  # noqa: BLE001 whatever an image does to us, the exam gets an answer
            _log.exception("image %s could not be prepared", uid)
            return Reason(ReasonCode.PIXEL_DATA_UNDECODABLE, uid, type(error).__name__)

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
        mammograms = [view for view in views if view.modality == "MG" and view.number_of_frames <= 1]
        by_use = sorted(mammograms, key=lambda view: view.sop_instance_uid not in self.breasts)
        shown: dict[str, bytes] = {}
        while by_use and len(shown) < MOST_PREVIEWS:
            uids = [view.sop_instance_uid for view in by_use[: MOST_PREVIEWS - len(shown)]]
            del by_use[: len(uids)]
            previews = zip(uids, self._each(self._preview, uids), strict=True)
            shown |= {uid: png for uid, png in previews if png}
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
