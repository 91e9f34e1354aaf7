"""The wire: items, request, response, events. Shapes only; nothing here acts."""
