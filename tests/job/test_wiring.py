import pytest

from monitor import wiring
from monitor.job.ask import Api
from monitor.settings.model import SourceSettings


@pytest.mark.parametrize("api", ["esb-v2", "esb-v3", "gateway-v3", "gateway-v4"])
def test_the_generation_that_is_configured_is_the_one_that_is_spoken(api: Api) -> None:
    settings = SourceSettings.model_validate(
        {
            "api": api,
            "url": "https://bkapi.example.com/api/bk-job/prod",
            "access_token": "t",
            "system_api": True,
        }
    )

    config = wiring.source_config("prod", settings)

    assert (config.api, config.system_api) == (api, True)
