"""The way to the scheduler: a child process tree or an address, connected, and connected again when it was lost."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

from distributed import Client

from ntk_core.engine.child import Child
from ntk_core.engine.errors import EngineError
from ntk_core.engine.post import TOPIC

logger = logging.getLogger(__name__)

SLOTS = {"theory", "training"}
KEPT_EVENTS = 64  # a scheduler of somebody else's would keep its last 1,000 messages, a gigabyte of increments


class Connection:
    """A Dask client that is there when it is asked for. Safe between threads.

    Args:
        address: of a scheduler; None starts a child and connects to it.
        options: of the child.
        timeout: seconds to wait for a scheduler's answer.
        on_message: takes (timestamp, message) of the topic, in the client's own thread.
        on_lost: called when child or scheduler are gone without having been asked to leave.
    """

    def __init__(
        self,
        address: str | None,
        options: dict[str, int],
        timeout: float,
        on_message: Callable[[tuple[float, dict[str, Any]]], None],
        on_lost: Callable[[], None],
    ):
        self.external = address is not None
        self._address, self._options, self._timeout = address, options, timeout
        self._on_message, self._on_lost = on_message, on_lost
        self._lock = threading.RLock()
        self.child: Child | None = None
        self._client: Client | None = None
        self._comm: Any = None  # the client's way to the scheduler when it connected
        self._closed = False

    def client(self) -> Client:
        """The client, connected.

        Raises:
            EngineError: the connection was closed, no scheduler answers, or the child does not start.
        """
        with self._lock:
            lost = self._client is not None and not self.alive
            if lost:
                logger.error("the engine was lost; connecting again")
                self._drop()
        if lost:
            self._on_lost()  # without the lock: it takes the engine's, whose holder may wait for this one
        with self._lock:
            if self._closed:
                raise EngineError("the engine is closed")
            if self._client is None:
                self._client = self._connect()
                self._comm = self._client.scheduler_comm
                self._client.subscribe_topic(TOPIC, self._on_message)
                self._bound_events(self._client)
            return self._client

    @property
    def alive(self) -> bool:
        """Whether messages can be sent now, over the connection that was made: a client that connected again by itself
        has lost its tasks and is no longer told of any topic."""
        client = self._client
        same = client is not None and client.status == "running" and client.scheduler_comm is self._comm
        return same and (self.child is None or self.child.alive)

    def is_current(self, client: Client) -> bool:
        """Whether this is the client that is used now."""
        return client is self._client

    def workers(self) -> list[dict[str, Any]]:
        """What the scheduler knows of each worker."""
        client = self.client()
        # Not client.scheduler_info(): a periodic update may empty its list of workers just before it is read.
        assert client.scheduler is not None
        return list(client.sync(client.scheduler.identity, n_workers=-1)["workers"].values())

    def count(self, slot: str) -> int:
        """How many workers offer that slot."""
        return sum(slot in worker["resources"] for worker in self.workers())

    def check_slots(self) -> None:
        """An EngineError if a foreign cluster has workers, but none that our tasks would ever be sent to."""
        workers = self.workers() if self.external else []
        if workers and not any(SLOTS & set(worker["resources"]) for worker in workers):
            raise EngineError(
                "no worker of the cluster offers the resources theory and training: start some with "
                "python -m ntk_core.engine.cluster --connect ADDRESS"
            )

    def close(self) -> None:
        """Disconnects for good; the child leaves."""
        with self._lock:
            self._closed = True
            self._drop()

    def _connect(self) -> Client:
        if self._address is None:
            self.child = Child(**self._options)
            threading.Thread(target=self._mourn, args=[self.child], name="engine-child", daemon=True).start()
        address = self._address or self.child.address  # type: ignore[union-attr]
        try:
            return Client(address, timeout=self._timeout, set_as_default=False, name="ntk-explorer")
        except OSError as error:
            self._drop()
            raise EngineError(f"no Dask scheduler answers at {address}") from error

    def _bound_events(self, client: Client) -> None:
        """Has the scheduler keep only the last messages of our topic; ours is configured so, another is asked to."""

        def bound(dask_scheduler: Any, topic: str = TOPIC, length: int = KEPT_EVENTS) -> None:
            from collections import deque

            events = dask_scheduler._broker._topics[topic]
            events.events = deque(events.events, maxlen=length)

        if self.external:
            try:
                client.run_on_scheduler(bound)
            except Exception as error:  # it may forbid this, or be of another version
                logger.warning(
                    "the scheduler may keep up to 1,000 messages of results in memory (%r); set "
                    "distributed.admin.low-level-log-length: %d there", error, KEPT_EVENTS,
                )  # fmt: skip

    def _drop(self) -> None:
        client, child, self._client, self.child = self._client, self.child, None, None
        if client is not None:
            client.close(timeout=2)
        if child is not None:
            child.close()

    def _mourn(self, child: Child) -> None:
        """Waits for a child's end, and says so if it was not meant."""
        child.process.wait()
        with self._lock:
            lost = child is self.child
        if lost:
            logger.error("the engine's child ended with exit code %s", child.process.returncode)
            self._on_lost()
