"""Redis: the id of the entry that it added to the stream."""

from typing import Any, ClassVar, cast

from faststream.redis import RedisBroker
from redis import exceptions

from monitor import errors
from monitor.core.message import CONTENT_TYPE, Message
from monitor.sinks.broker.carriers import NAME, Place, Troubles, text
from monitor.sinks.broker.security import plaintext


class Redis:
    troubles: ClassVar[Troubles] = (exceptions.RedisError, OSError)
    lives: ClassVar[bool] = True  # its pool opens anew what was cut

    def __init__(self, place: Place) -> None:
        self._place = place
        self._client: Any = None
        [address] = place.addresses()
        self._broker = RedisBroker(
            f"redis://{address}/{place.config.path}",
            security=plaintext(place, user=None, password=None),
            client_name=NAME,
            logger=cast("Any", None),
        )

    async def connect(self) -> None:
        self._client = await self._broker.connect()

    async def publish(self, message: Message) -> None:
        """Add an entry; Redis answers with its id.

        Not by FastStream's publish, whose one field is framed as only FastStream
        reads it.
        """
        topic = self._place.topic(message)
        try:
            await self._client.xadd(
                topic,
                {
                    "id": message.id,
                    "partitionkey": message.key,
                    "content-type": CONTENT_TYPE,
                    "data": message.cloudevent(),
                },
                maxlen=self._place.config.max_length,
                approximate=True,
            )
        except exceptions.NoPermissionError as exc:
            raise errors.Rejected(text(exc)) from None
        except exceptions.ResponseError as exc:
            if text(exc).startswith("WRONGTYPE"):
                raise errors.Undelivered(
                    f"{topic} holds something else than a stream: name another topic"
                ) from None
            raise errors.Undelivered(text(exc)) from None

    async def close(self) -> None:
        await self._broker.stop()
