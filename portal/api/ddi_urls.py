"""Addresses of update clients, below /{tenant}/controller/v1/{controllerId}. None ends in a slash or redirects to one."""

from django.urls import URLPattern, path, register_converter

from portal.api import ddi


class ActionNumber:
    """1 to 2**31 - 1."""

    regex = "[1-9][0-9]{0,9}"

    def to_python(self, value: str) -> int:
        number = int(value)
        if number >= 2**31:
            raise ValueError
        return number

    def to_url(self, value: int) -> str:
        return str(value)


register_converter(ActionNumber, "action")
urlpatterns: list[URLPattern] = [
    path("", ddi.poll, name="ddi-poll"),
    path("/configData", ddi.config_data, name="ddi-config-data"),
    path("/deploymentBase/<action:number>", ddi.deployment_base, name="ddi-deployment"),
    path("/deploymentBase/<action:number>/feedback", ddi.deployment_feedback, name="ddi-feedback"),
    path("/cancelAction/<action:number>", ddi.cancel_action, name="ddi-cancel"),
    path("/cancelAction/<action:number>/feedback", ddi.cancel_feedback, name="ddi-cancel-feedback"),
    path("/installedBase", ddi.installed, name="ddi-installed"),
    path("/installedBase/<action:number>", ddi.installed_base, name="ddi-installed-base"),
    path("/softwaremodules/<action:number>/artifacts", ddi.module_artifacts, name="ddi-artifacts"),
    path("/softwaremodules/<action:number>/artifacts/<str:name>", ddi.artifact, name="ddi-artifact"),
    path("/confirmationBase", ddi.confirmation_base, name="ddi-confirmations"),
    path("/confirmationBase/activateAutoConfirm", ddi.auto_confirm_on, name="ddi-auto-confirm-on"),
    path("/confirmationBase/deactivateAutoConfirm", ddi.auto_confirm_off, name="ddi-auto-confirm-off"),
    path("/confirmationBase/<action:number>", ddi.confirmation, name="ddi-confirmation"),
    path("/confirmationBase/<action:number>/feedback", ddi.confirmation_feedback, name="ddi-confirm"),
]
