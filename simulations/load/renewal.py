"""Keeps the tokens of robots fresh, one after the other, as each app in the field would its own.

A token holds for a quarter of an hour. A renewal is good for one use, and the answer brings the
next one; signing in is throttled by address, so a machine can keep about a hundred people signed
in, and a larger crowd has to be done within the quarter of an hour.
"""

from collections.abc import Sequence

import trio
from msgspec import Struct

from simulations.load.api import Api, ApiFailed
from simulations.load.device import Device

RENEW_S = 600.0
"""Each device is renewed about so often."""
DEVICES_MAX = 100


class Tokens(Struct, frozen=True):
    """What a client reads of a renewal."""

    access_token: str
    refresh_token: str


async def keep_renewing(devices: Sequence[Device], api: Api) -> None:
    """Renew all devices, evenly spread over the time, until cancelled."""
    assert 0 < len(devices) <= DEVICES_MAX, len(devices)
    await trio.sleep(RENEW_S / 2)
    while True:
        for device in devices:
            await trio.sleep(RENEW_S / len(devices))
            await _renew(device, api)


async def _renew(device: Device, api: Api) -> None:
    body = {"grant_type": "refresh_token", "refresh_token": device.refresh_token}
    try:
        answer = await api.ask("POST", "/v1/oauth/token", None, body)
        if answer.is_success:
            tokens = answer.read(Tokens)
            device.token, device.refresh_token = tokens.access_token, tokens.refresh_token
    except ApiFailed:
        return  # Its token holds for a while yet; its turn comes again.
