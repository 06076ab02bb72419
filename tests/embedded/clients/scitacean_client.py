"""scitacean: creates a dataset with a file and a thumbnail, reads and finds it. Up to 26.2 it speaks v3."""

import sys
import tempfile
from pathlib import Path

from scitacean import Attachment, Client, Dataset, Thumbnail
from scitacean.transfer.copy import CopyFileTransfer

base, user, password, kind = sys.argv[1:5]
url = f"{base}/api/v3"
more = {"allow_http": True} if kind == "v4" else {}
with tempfile.TemporaryDirectory() as place:
    source, data = Path(place) / "source", Path(place) / "scan_1.h5"
    source.mkdir()
    data.write_bytes(b"x" * 1000)
    transfer = CopyFileTransfer()
    client = Client.from_credentials(url=url, username=user, password=password, file_transfer=transfer, **more)
    names = {"proposal_ids": ["P1", "P2"]} if kind == "v4" else {"proposal_id": "P1"}
    leaders = {"principal_investigators": ["P", "Q"]} if kind == "v4" else {"principal_investigator": "P"}
    dataset = Dataset(
        type="raw",
        name="From scitacean",
        owner="Ada",
        owner_group="g1",
        contact_email="ada@example.org",
        source_folder=str(source),
        creation_location="/SITE/BL07",
        keywords=["kept"],
        meta={"energy": {"value": 12.4, "unit": "keV"}, "a.b": 5},
        **names,
        **leaders,
    )
    dataset.add_local_files(data)
    dataset.attachments = [Attachment(caption="plot", owner_group="g1", thumbnail=Thumbnail("image/png", b"\x89PNG"))]
    uploaded = client.upload_new_dataset_now(dataset)
    found = client.get_dataset(uploaded.pid, attachments=True)
    assert found.name == "From scitacean", found.name
    assert found.meta["energy"]["value"] == 12.4, found.meta
    assert [file.remote_path.name for file in found.files] == ["scan_1.h5"], list(found.files)
    assert (found.size, found.number_of_files) == (1000, 1), (found.size, found.number_of_files)
    assert [one.caption for one in found.attachments] == ["plot"], found.attachments
    assert found.attachments[0].thumbnail.decoded_data() == b"\x89PNG"
    (listed,) = client.scicat.query_datasets({"datasetName": "From scitacean"}, limit=5, order="creationTime:desc")
    assert str(listed.pid) == str(uploaded.pid), listed
    investigator = leaders if kind == "v4" else {"investigator": "P"}
    reduced = Dataset(
        type="derived",
        name="Reduced",
        owner="Ada",
        owner_group="g1",
        contact_email="ada@example.org",
        source_folder=str(source),
        used_software=["scitacean"],
        input_datasets=[uploaded.pid],
        **investigator,
    )
    again = client.get_dataset(client.upload_new_dataset_now(reduced).pid)
    assert (again.type, again.input_datasets) == ("derived", [uploaded.pid]), again
print("done")
