"""The component's exports, a module a kind. Imported only inside a component."""
