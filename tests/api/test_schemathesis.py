"""The whole API against its own document: nothing fails, and nothing is said that it does not tell.

A real server at a real door is asked by schemathesis, which reads `/v1/openapi.json` and makes
requests of it, good and bad ones; once by an operator, once by a customer and once by nobody.
"""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import trio

from services.accounts.principal import Role
from tests.api.everything import House, everything
from tests.api.stage import MARKET
from tests.api.test_hostile import CALM, served

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)
RUN_S = 85.0
EXAMPLES = 8
PHASES = "fuzzing"
ENDS_HIS_SESSION = ("/v1/accounts/me/sign_out", "/v1/accounts/me/password", "/v1/oauth/revoke")
"""Nothing could be asked as somebody who has just been signed out."""
ROOT = Path(__file__).parents[2]
HOOKS = "tests.api.msgpack_for_schemathesis"
COMMAND = Path(sys.executable).with_name("schemathesis")


async def schemathesis(
    port: int, who: Mapping[str, str], house: House, folder: Path
) -> subprocess.CompletedProcess[bytes]:
    """Run it as somebody who knows the names of what a house has, and return how it went."""
    headers = [part for name, value in who.items() for part in ("--header", f"{name}: {value}")]
    known = {
        "order_id": house.order_id,
        "delivery_id": house.order_id.replace("ord_", "del_"),
        "restaurant_id": house.restaurant_id,
        "courier_id": house.courier_id,
        "user_id": house.customer_id,
        "market_id": MARKET,
    }
    lines = ["[parameters]", *(f'"path.{name}" = "{value}"' for name, value in known.items())]
    config = folder / "schemathesis.toml"
    config.write_text("\n".join(lines))
    return await trio.run_process(
        [
            *(COMMAND, "--config-file", config, "run"),
            f"http://127.0.0.1:{port}/v1/openapi.json",
            *("--checks", ",".join(CHECKS), "--phases", PHASES),
            *("--max-examples", str(EXAMPLES), "--seed", "1"),
            *("--suppress-health-check", "all", "--warnings", "off", "--no-color"),
            *("--continue-on-failure", "--request-timeout", "30"),
            *(part for path in ENDS_HIS_SESSION for part in ("--exclude-path", path)),
            *headers,
        ],
        capture_stdout=True,
        capture_stderr=True,
        check=False,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), "SCHEMATHESIS_HOOKS": HOOKS},
    )


@pytest.mark.slow
@pytest.mark.parametrize("who", ["operator", "customer", "nobody"])
async def test_every_answer_is_one_that_the_document_tells_of(
    database: str, redis_url: str, tmp_path: Path, who: str
) -> None:
    async with (
        everything(database, redis_url) as whole,
        served(whole.stage.app, CALM) as port,
    ):
        house = whole.otters
        people = house.people
        headers = {"operator": people[Role.INTEGRATOR], "customer": people[Role.CUSTOMER]}
        with trio.fail_after(RUN_S):
            done = await schemathesis(port, headers.get(who, {}), house, tmp_path)

    assert done.returncode == 0, done.stdout.decode()[-8_000:]
    assert b"No issues found" in done.stdout
