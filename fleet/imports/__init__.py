"""Tables of rooms, assets and peripherals into the inventory: checked whole, then applied whole or not at all."""
