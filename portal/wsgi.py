import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
application = get_wsgi_application()

from portal.start import refuse_unsafe_start  # noqa: E402 - Django is set up only now

refuse_unsafe_start()
