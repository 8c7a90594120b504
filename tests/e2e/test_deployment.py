"""The health check of the image, asked of a running server."""

import json
import os
import subprocess
import sys

from tests.e2e.conftest import Server
from tests.image import instructions
from tests.services import free_port


def is_well(port: int) -> bool:
    (line,) = instructions("HEALTHCHECK")
    python, *arguments = json.loads(line.partition(" CMD ")[2])
    assert python == "python"
    environment = os.environ | {"PARASOL_PORT": str(port)}
    command = [sys.executable, *arguments]
    return (
        subprocess.run(command, env=environment, stderr=subprocess.DEVNULL, check=False).returncode
        == 0
    )


def test_a_container_is_well_while_its_server_is_ready(server: Server) -> None:
    assert is_well(int(server.address.rpartition(":")[2]))
    assert not is_well(free_port())
