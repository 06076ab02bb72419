"""scicat-sdk-py: creates, reads, finds, changes and deletes in both versions of the API."""

import json
import sys

import scicat_sdk_py as sdk

base, user, password = sys.argv[1:4]
api = sdk.ApiClient(sdk.Configuration(host=base))
login = sdk.AuthApi(api).auth_controller_login_v3(sdk.CredentialsDto(username=user, password=password))
api.configuration.access_token = login.access_token
v3, v4 = sdk.DatasetsApi(api), sdk.DatasetsV4Api(api)
blocks_v4, attachments_v4 = sdk.OrigdatablocksV4Api(api), sdk.AttachmentsV4Api(api)
common = {
    "type": "raw", "ownerGroup": "g1", "owner": "Ada", "contactEmail": "ada@example.org", "sourceFolder": "/data/s1",
    "creationTime": "2024-05-01T08:00:00Z", "creationLocation": "/SITE/BL07", "datasetName": "From the SDK",
    "scientificMetadata": {"energy": {"value": 12.4, "unit": "keV"}},
}  # fmt: skip
file = {"path": "a.h5", "size": 5, "time": "2024-05-01T08:00:00Z"}
first, second = "20.500.1/sdk3", "20.500.1/sdk4"

ids = {"proposalId": "P1", "sampleId": "S1", "instrumentId": "I1"}  # A null for each absent one is not in the models.
raw = sdk.CreateRawDatasetObsoleteDto(**common, **ids, pid=first, principalInvestigator="P")
assert v3.datasets_controller_create_v3(sdk.DatasetsControllerCreateV3Request(raw)).pid == first
block = sdk.CreateDatasetOrigDatablockDto(size=5, dataFileList=[file])
v3.datasets_controller_create_orig_datablock_v3(first, block)
attachment = sdk.CreateAttachmentV3Dto(caption="plot", thumbnail="data:x", ownerGroup="g1")
# The SDK's models of some answers want fields that no backend sends: of these only the status and the JSON are read.
assert v3.datasets_controller_create_attachment_v3_without_preload_content(first, attachment).status == 201

made = v4.datasets_v4_controller_create_v4(
    sdk.CreateDatasetDto(**common, pid=second, principalInvestigators=["P", "Q"])
)
assert made.principal_investigators == ["P", "Q"]
block = sdk.CreateOrigDatablockDto(size=5, dataFileList=[file], datasetId=second)
assert blocks_v4.orig_datablocks_v4_controller_create_v4_without_preload_content(block).status == 201
target = {"targetId": second, "targetType": "dataset"}
added = attachments_v4.attachments_v4_controller_create_attachment_v4(
    sdk.CreateAttachmentV4Dto(
        caption="plot", thumbnail="data:x", ownerGroup="g1", isPublished=False, relationships=[target]
    )
)
attachments_v4.attachments_v4_controller_find_one_and_update_v4(
    added.aid, sdk.PartialUpdateAttachmentV4Dto(caption="new")
)

for pid, caption in ((first, "plot"), (second, "new")):
    found = v3.datasets_controller_find_by_id_v3(pid)
    assert (found.size, found.number_of_files) == (5, 1), found
    (shown,) = v3.datasets_controller_find_all_attachments_v3_without_preload_content(pid).json()
    assert shown["caption"] == caption
    (listed,) = v3.datasets_controller_find_all_orig_datablocks_v3_without_preload_content(pid).json()
    assert listed["dataFileList"][0]["path"] == "a.h5"
v4.datasets_v4_controller_find_by_id_and_update_v4(second, sdk.PartialUpdateDatasetDto(description="changed"))
assert v4.datasets_v4_controller_find_by_id_v4(second).description == "changed"

found = v3.datasets_controller_fullquery_v3(fields=json.dumps({"text": "SDK"}), limits=json.dumps({"limit": 10}))
assert {one.pid for one in found} == {first, second}
(facets,) = v3.datasets_controller_fullfacet_v3_without_preload_content(facets='["type"]').json()
assert facets["type"] == [{"_id": "raw", "count": 2}], facets
assert v3.datasets_controller_metadata_keys_v3(fields="{}", limits="{}") == ["energy"]
assert v3.datasets_controller_count_v3().count == 2
assert len(v4.datasets_v4_controller_find_all_v4(filter=json.dumps({"where": {"datasetName": "From the SDK"}}))) == 2
sdk.ProposalsApi(api).proposals_controller_count_v3()
v3.datasets_controller_find_by_id_and_delete_v3(first)
assert v3.datasets_controller_count_v3().count == 1
print("done")
