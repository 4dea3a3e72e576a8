"""Unified Procedure Step as a service class provider: Push, Pull, Watch, Event and Query (PS3.4 CC)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom import evt

from node import logs
from node.audit.auditor import Auditor
from node.audit.events import Other
from node.audit.queries import Queries
from node.config import Config
from node.dicom_json import encoded
from node.dimse import identifiers, rights, scu
from node.dimse.scu import Handler, status
from node.errors import NodeError, RetriableDelivery
from node.settings import Peer
from node.ups import attributes, events, faults, states
from node.ups.attributes import Attributes, value
from node.ups.subscribing import FILTERED, Subscribing
from node.ups.worklist import UnifiedWorklist
from storage.database import DatabaseUnavailable
from storage.objects import is_valid_uid
from storage.ups import Over, State, Subscription, WorkitemEvent

log = logs.get(__name__)

PUSH = "1.2.840.10008.5.1.4.34.6.1"
WATCH = "1.2.840.10008.5.1.4.34.6.2"
PULL = "1.2.840.10008.5.1.4.34.6.3"
EVENT = "1.2.840.10008.5.1.4.34.6.4"
QUERY = "1.2.840.10008.5.1.4.34.6.5"
CLASSES = (PUSH, WATCH, PULL, EVENT, QUERY)
CHANGE_STATE, REQUEST_CANCEL, SUBSCRIBE, UNSUBSCRIBE, SUSPEND = 1, 2, 3, 4, 5
_PENDING, _CANCELLED, _OUT_OF_RESOURCES = 0xFF00, 0xFE00, 0xA700
PROCESSING_FAILURE, RESOURCES, ATTRIBUTES_LEFT_OUT = 0x0110, 0x0213, 0x0001

#: What a handler of an N-service returns.
Answer = tuple[int | Dataset, Dataset | None]


class UpsProvider:
    """The handlers; what they mean is `UnifiedWorklist`'s and `Subscribing`'s."""

    def __init__(
        self, config: Config, worklist: UnifiedWorklist, subscribing: Subscribing, auditor: Auditor | None = None
    ) -> None:
        """auditor: is told who asked."""
        self._config = config
        self._queries = Queries(auditor)
        self._worklist = worklist
        self._subscribing = subscribing
        self._actions: dict[int, Callable[[evt.Event, str, Attributes], int]] = {
            CHANGE_STATE: self._change_state,
            REQUEST_CANCEL: self._request_cancel,
            SUBSCRIBE: self._subscribe,
            UNSUBSCRIBE: self._unsubscribe,
            SUSPEND: self._suspend,
        }

    def handlers(self) -> list[Handler]:
        """For the receiver; see `by_class.shared`."""
        return [
            (evt.EVT_N_CREATE, lambda event: self._answered(event, self._create)),
            (evt.EVT_N_SET, lambda event: self._answered(event, self._set)),
            (evt.EVT_N_GET, lambda event: self._answered(event, self._get)),
            (evt.EVT_N_ACTION, lambda event: self._answered(event, self._act)),
            (evt.EVT_N_EVENT_REPORT, lambda event: self._answered(event, self._hear)),
            (evt.EVT_C_FIND, self._find),
        ]

    def _answered(self, event: evt.Event, act: Callable[[evt.Event, str], Answer]) -> Answer:
        """Every request gets a status."""
        request = cast("Any", event.request)
        named = (getattr(request, each, None) for each in ("AffectedSOPInstanceUID", "RequestedSOPInstanceUID"))
        uid = str(next(filter(None, named), ""))
        with logs.about(association=event.assoc.name, item=uid if is_valid_uid(uid) else "(no UID)"):
            try:
                rights.demand(self._config, event, "ups")
                return act(event, uid)
            except NodeError as error:
                log.warning("work item: refused", status=f"0x{error.dimse_status:04X}", why=str(error))
                return status(error.dimse_status, str(error)), None
            except DatabaseUnavailable as error:
                log.warning("work item: refused", why=str(error))
                return status(RESOURCES, "the database refused the request; send it again"), None
            except Exception:  # the association's border: the peer is told
                log.exception("work item: failed")
                return PROCESSING_FAILURE, None

    # ---------------------------------------------------------------- N-CREATE, N-SET, N-GET

    def _create(self, event: evt.Event, uid: str) -> Answer:
        item, code = self._worklist.create(uid, attributes.of_dataset(event.attribute_list))
        return code, attributes.to_dataset(item.attributes)

    def _set(self, event: evt.Event, uid: str) -> Answer:
        given = attributes.of_dataset(event.modification_list)
        item = self._worklist.update(uid, given, value(given, "TransactionUID"))
        return states.SUCCESS, attributes.to_dataset(_only(item.attributes, given))

    def _get(self, event: evt.Event, uid: str) -> Answer:
        held = self._worklist.item(uid).attributes
        wanted = {f"{int(each):08X}" for each in event.attribute_identifiers}
        code = ATTRIBUTES_LEFT_OUT if wanted - held.keys() else states.SUCCESS
        return code, attributes.to_dataset(_only(held, wanted or held))

    # ---------------------------------------------------------------- N-ACTION

    def _act(self, event: evt.Event, uid: str) -> Answer:
        kind = cast("Any", event.request).ActionTypeID
        action = self._actions.get(kind)
        if action is None:
            raise faults.NoSuchAction(f"ActionTypeID {kind}: allowed are {', '.join(map(str, self._actions))}")
        code = action(event, uid, attributes.of_dataset(event.action_information))
        return (status(code, states.WARNINGS[code]) if code in states.WARNINGS else code), None

    def _change_state(self, _event: evt.Event, uid: str, given: Attributes) -> int:
        wanted = value(given, "ProcedureStepState")
        if wanted not in set(State):
            raise faults.InvalidValue(f"ProcedureStepState: the value is not allowed; allowed: {', '.join(State)}")
        return self._worklist.change_state(uid, State(wanted), value(given, "TransactionUID"))

    def _request_cancel(self, event: evt.Event, uid: str, given: Attributes) -> int:
        return self._worklist.request_cancel(uid, given, _calling(event))

    def _subscribe(self, _event: evt.Event, uid: str, given: Attributes) -> int:
        no_keys = [attributes.tag(each) for each in ("ReceivingAE", "DeletionLock", "SpecificCharacterSet")]
        keys = {at: element for at, element in given.items() if at not in no_keys}
        to = Subscription(
            ae_title=_receiving(given),
            sop_instance_uid=uid,
            deletion_lock=value(given, "DeletionLock") == "TRUE",
            over=Over.DIMSE,
            filter_json=encoded(keys).decode() if uid == FILTERED and keys else "",
        )
        self._subscribing.subscribe(to)
        return states.SUCCESS

    def _unsubscribe(self, _event: evt.Event, uid: str, given: Attributes) -> int:
        self._subscribing.unsubscribe(uid, _receiving(given))
        return states.SUCCESS

    def _suspend(self, _event: evt.Event, uid: str, given: Attributes) -> int:
        self._subscribing.suspend(uid, _receiving(given))
        return states.SUCCESS

    # ---------------------------------------------------------------- N-EVENT-REPORT

    def _hear(self, event: evt.Event, uid: str) -> Answer:
        """A manager reports on an item of its worklist; what this node has claimed there may be to be canceled."""
        if cast("Any", event.request).EventTypeID == events.CANCEL_REQUESTED:
            self._worklist.cancel_elsewhere(uid, attributes.of_dataset(event.event_information), _calling(event))
        return states.SUCCESS, None

    # ---------------------------------------------------------------- C-FIND

    def _find(self, event: evt.Event) -> Iterator[Any]:
        limit = self._config.query.maximum_results
        try:
            rights.demand(self._config, event, "ups")
            identifier = event.identifier
            by = Other("", str(event.assoc.requestor.address), _calling(event))
            self._queries.asked(by, str(event.context.abstract_syntax), identifier)
            keys = list(identifiers.keys_of(identifier))
            found = self._worklist.search(keys, 0, limit)
        except (NodeError, DatabaseUnavailable) as error:
            code = error.dimse_status if isinstance(error, NodeError) else _OUT_OF_RESOURCES
            log.warning("query of work items refused", calling_ae_title=_calling(event), why=str(error))
            yield status(code, str(error)), None
            return
        empty = {key.tag: {"vr": key.vr} for key in keys}
        returned = {*empty, attributes.tag("SOPInstanceUID"), attributes.tag("SOPClassUID")}
        for item in found.items:
            if event.is_cancelled:
                yield _CANCELLED, None
                return
            yield _PENDING, attributes.to_dataset({**empty, **_only(item.attributes, returned)})
        if found.more:
            yield status(_OUT_OF_RESOURCES, f"more than {limit} matches: narrow the query"), None


def tell(peer: Peer, ae_title: str, events: Sequence[WorkitemEvent], taken: Callable[[int], None]) -> None:
    """N-EVENT-REPORTs on an association of our own, as the provider; `taken` hears the id of each that arrived.

    Raises DeliveryError. A subscriber that refuses a report has had it: it would refuse it again.
    """
    contexts = [(EVENT, syntax) for syntax in scu.UNCOMPRESSED]
    with scu.associated(peer, ae_title, contexts, roles=[EVENT]) as association:
        for each in events:
            about = (each.event_type, UID(PUSH), UID(each.sop_instance_uid))
            report = attributes.to_dataset(each.report)
            answer, _ = scu.called(association.send_n_event_report, report, *about, meta_uid=UID(EVENT))
            if "Status" not in answer:
                raise RetriableDelivery("the subscriber did not answer, or aborted")
            if answer.Status != states.SUCCESS:
                log.warning("report refused", ae_title=peer.ae_title, status=f"0x{answer.Status:04X}")
            taken(each.id)


def _receiving(given: Attributes) -> str:
    ae_title = value(given, "ReceivingAE")
    if not ae_title:
        raise faults.MissingAttribute("ReceivingAE: it is missing")
    return ae_title


def _only(held: Attributes, tags: Any) -> dict[str, Any]:
    return {at: element for at, element in held.items() if at in tags}


def _calling(event: evt.Event) -> str:
    return str(event.assoc.requestor.ae_title).strip()
