"""Text2Video-Zero in Blender: the order of registration."""

from importlib import import_module

ROOMS = (
    "preferences",
    "ui.properties",
    "ui.object_words",
    "run.older_files",
    "run.session",
    "ui.operators",
    "ui.take_buttons",
    "ui.words",
    "ui.engine_buttons",
    "run.engine_report",
    "run.engine_setup",
    "run.farm",
    "ui.lists",
    "ui.rig_editor",
    "ui.panels",
    "ui.results",
    "ui.menus",
    "ui.german",
    "run.command_line",
)


def register() -> None:
    """Registers every room, those that others build on first."""
    for room in ROOMS:
        import_module(f".{room}", __package__).register()


def unregister() -> None:
    """Takes everything back, in the opposite order."""
    for room in reversed(ROOMS):
        import_module(f".{room}", __package__).unregister()
