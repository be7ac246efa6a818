"""What every section of the configuration is: frozen, closed, and shy of secrets."""

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator


class Section(BaseModel):
    # An unquoted 12345 is as good a user name as any other.
    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        coerce_numbers_to_str=True,
        serialize_by_alias=True,
    )

    @field_validator("*")
    @classmethod
    def _not_twice(cls, value: object, info: ValidationInfo) -> object:
        """Refuse ``x_file`` where ``x`` is given: nobody knows which is the newer."""
        name = str(info.field_name)
        other = name.removesuffix("_file")
        if other != name and value is not None and info.data.get(other) is not None:
            raise ValueError(f"{other} is given as well; keep one of the two")
        return value
