"""The types that the engine and plugins exchange: records, protocols and base classes."""
