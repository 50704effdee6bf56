"""The questions put to Windows, in PowerShell 5.1, which every supported Windows has. Answers are JSON.

Raw CIM classes are asked rather than cmdlets where those translate their answers into the system's language.
"""

import json
import subprocess
import sys
from typing import Any

# A question that fails leaves its key out: nothing found and cannot be told are different answers.
_FRAME = """
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
[Console]::OutputEncoding = [Text.Encoding]::UTF8
$answers = @{}
function Ask($name, $question) { try { $answers[$name] = @(& $question) } catch { } }
%s
$answers | ConvertTo-Json -Depth 4 -Compress
"""

# WmiMonitorID fails where no monitor is connected at all, which is an answer of its own.
DEVICES = (
    _FRAME
    % """
Ask pnp {
  $devices = @(Get-PnpDevice -PresentOnly | Where-Object { $_.InstanceId -match '^USB\\\\VID_' -or
    $_.Class -in 'Camera', 'AudioEndpoint' })
  $parents = @{}
  if ($devices) { Get-PnpDeviceProperty -InstanceId $devices.InstanceId -KeyName DEVPKEY_Device_Parent |
    ForEach-Object { $parents[$_.InstanceId] = $_.Data } }
  $devices | Select-Object InstanceId, Class, FriendlyName, Manufacturer, Status, HardwareID, CompatibleID,
    @{ n = 'Parent'; e = { $parents[$_.InstanceId] } }
}
Ask monitors { if (@(Get-PnpDevice -PresentOnly | Where-Object { $_.Class -eq 'Monitor' })) {
  Get-CimInstance -Namespace root/wmi WmiMonitorID |
  Select-Object InstanceName, Active, ManufacturerName, ProductCodeID, SerialNumberID, UserFriendlyName } }
Ask outputs { Get-CimInstance -Namespace root/wmi WmiMonitorConnectionParams |
  Select-Object InstanceName, VideoOutputTechnology }
Ask adapters { Get-CimInstance -Namespace root/StandardCimv2 MSFT_NetAdapter -Filter 'HardwareInterface = TRUE' |
  Select-Object Name, MediaConnectState, NdisPhysicalMedium, PermanentAddress }
Ask routes { Get-CimInstance -Namespace root/StandardCimv2 MSFT_NetRoute |
  Where-Object { $_.DestinationPrefix -in '0.0.0.0/0', '::/0' } | Select-Object DestinationPrefix, NextHop }
Ask wlan { (netsh wlan show interfaces | Out-String) }
if (Get-WinEvent -ListLog 'Skype Room System' -ErrorAction SilentlyContinue) {
Ask room_app { Get-WinEvent -ErrorAction SilentlyContinue -MaxEvents 60 -FilterHashtable @{
    LogName = 'Skype Room System'; ProviderName = 'SRS-App'; Id = 2000, 2001, 3000, 3001, 4000
    StartTime = (Get-Date).AddHours(-1) } |
  Select-Object Id, @{ n = 'At'; e = { $_.TimeCreated.ToUniversalTime().ToString('o') } },
    @{ n = 'Text'; e = { if ($_.Message) { $_.Message } else { $_.Properties[0].Value } } } }
}
"""
)

SYSTEM = (
    _FRAME
    % """
Ask os { Get-CimInstance Win32_OperatingSystem | Select-Object Caption, Version }
Ask disks { Get-CimInstance -Namespace root/Microsoft/Windows/Storage MSFT_PhysicalDisk |
  Select-Object DeviceId, FriendlyName, SerialNumber, BusType, HealthStatus }
Ask app { Get-AppxPackage -AllUsers -Name Microsoft.SkypeRoomSystem | Select-Object Version }
Ask time { (w32tm /query /status | Out-String) }
"""
)

HARDWARE = (
    _FRAME
    % """
Ask computer { Get-CimInstance Win32_ComputerSystem | Select-Object Manufacturer, Model }
Ask bios { Get-CimInstance Win32_BIOS | Select-Object SerialNumber }
Ask product { Get-CimInstance Win32_ComputerSystemProduct | Select-Object UUID }
Ask adapters { Get-CimInstance -Namespace root/StandardCimv2 MSFT_NetAdapter -Filter 'HardwareInterface = TRUE' |
  Select-Object Name, MediaConnectState, NdisPhysicalMedium, PermanentAddress }
"""
)


def ask_powershell(questions: str) -> str:
    """What PowerShell prints. Raises OSError or subprocess.SubprocessError."""
    hidden = 0x08000000 if sys.platform == "win32" else 0  # CREATE_NO_WINDOW: rooms have a screen
    command = ["powershell.exe", "-NoProfile", "-NonInteractive", "-Command", questions]
    done = subprocess.run(  # noqa: S603 the questions above
        command,
        capture_output=True,
        timeout=60,
        check=True,
        creationflags=hidden,
    )
    return done.stdout.decode("utf-8-sig", errors="replace")


def answers(printed: str) -> dict[str, list[Any]]:
    """The answers by name. Raises ValueError for anything but our JSON."""
    found = json.loads(printed)
    if not isinstance(found, dict):
        raise ValueError("PowerShell did not answer with an object")
    return {name: value if isinstance(value, list) else [value] for name, value in found.items()}
