"""Plain state that all rooms of the rehearsal share, and the words for a refusal. Imports no other room."""
