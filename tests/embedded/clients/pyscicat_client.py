"""pyscicat: creates, reads, finds and changes datasets, origdatablocks and attachments by API v3."""

import sys

from pyscicat.client import ScicatClient
from pyscicat.model import Attachment, CreateDatasetOrigDatablockDto, DataFile, RawDataset, Sample

base, user, password = sys.argv[1:4]
client = ScicatClient(base_url=f"{base}/api/v3", username=user, password=password)
dataset = RawDataset(
    pid="20.500.1/pyscicat", owner="Ada", ownerGroup="g1", contactEmail="ada@example.org", datasetName="From pyscicat",
    creationLocation="/SITE/BL07", creationTime="2024-05-01T08:00:00Z", sourceFolder="/data/s1",
    principalInvestigator="P", keywords=["a"], scientificMetadata={"energy": {"value": 12.4, "unit": "keV"}},
    numberOfFiles=0, size=0,
)  # fmt: skip
pid = client.datasets_create(dataset)
assert pid == "20.500.1/pyscicat", pid
files = [DataFile(path="a.h5", size=5, time="2024-05-01T08:00:00Z")]
client.datasets_origdatablock_create(pid, CreateDatasetOrigDatablockDto(size=5, dataFileList=files))
client.datasets_attachment_create(Attachment(datasetId=pid, thumbnail="data:x", caption="plot", ownerGroup="g1"))
found = client.datasets_get_one(pid)
assert (found["size"], found["numberOfFiles"]) == (5, 1), found
assert found["scientificMetadata"]["energy"]["valueSI"] > 0
(block,) = client.datasets_origdatablocks_get_one(pid)
assert block["dataFileList"][0]["path"] == "a.h5", block
assert [one["pid"] for one in client.datasets_get_many({"datasetName": "From pyscicat"})] == [pid]
assert [one["pid"] for one in client.datasets_find(query_fields={"text": "pyscicat"})] == [pid]
dataset.description = "changed"
dataset.pid = dataset.type = None
client.datasets_update(dataset, pid)
assert client.datasets_get_one(pid)["description"] == "changed"
sample = Sample(sampleId="S1", ownerGroup="g1", owner="Ada", description="Fe film", sampleCharacteristics={"a": 1})
assert client.samples_create(sample) == "S1"
client.datasets_delete(pid)
assert client.datasets_get_many({"datasetName": "From pyscicat"}) == []
print("done")
