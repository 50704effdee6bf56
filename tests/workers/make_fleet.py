"""`python -m tests.workers.make_fleet 40`: a customer with watched devices in the database of this environment.

Prints their keys and tokens as JSON.
"""

import json
import sys

import django

django.setup()

from enrollment import credentials  # noqa: E402
from foundation import clock  # noqa: E402
from foundation.context import tenant  # noqa: E402
from tests.factories.fleet import make_device  # noqa: E402
from tests.factories.tenancy import make_customer  # noqa: E402

at = clock.now()
customer = make_customer(at=at)
fleet = []
with tenant(customer.id):
    for number in range(int(sys.argv[1])):
        device = make_device(at=at, serial_number=f"{customer.number}-{number}")
        token = credentials.issue(device, public_key=None, at=at).text
        fleet.append({"key": device.key, "id": str(device.id), "token": token})
print(json.dumps({"tenant": str(customer.id), "devices": fleet}))
