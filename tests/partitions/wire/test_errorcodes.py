"""Error codes are found in the responses of every API, wherever they lie."""

from __future__ import annotations

import pytest

from partitions import wire
from partitions.wire import ApiKey, error_finder
from partitions.wire.schema import load_index, load_schema


def test_those_of_partitions_are_found_in_order() -> None:
    types = wire.messages(ApiKey.PRODUCE)
    parts = [types.PartitionProduceResponse(index=n, error_code=c) for n, c in enumerate((0, 6, 7))]
    topics = [
        types.TopicProduceResponse(name="a", partition_responses=parts),
        types.TopicProduceResponse(name="b", partition_responses=parts[:2]),
    ]
    assert error_finder(ApiKey.PRODUCE)(types.ProduceResponse(responses=topics)) == [6, 7, 6]


def test_one_at_the_top_counts_beside_those_below_and_null_is_no_list() -> None:
    types = wire.messages(ApiKey.FETCH)
    part = types.PartitionData(partition_index=0, error_code=3, records=b"")
    topic = types.FetchableTopicResponse(topic="a", partitions=[part])
    find = error_finder(ApiKey.FETCH)
    assert sorted(find(types.FetchResponse(error_code=70, responses=[topic]))) == [3, 70]
    assert find(types.FetchResponse(responses=None)) == []
    assert find(types.FetchResponse(responses=[])) == []


@pytest.mark.parametrize("key", sorted(load_index()))
def test_no_field_of_any_schema_is_missed(key: int) -> None:
    """Every struct of a response that has an error code is reached: filled in, it is found."""
    schema = load_schema(load_index()[key].name)
    types = wire.messages(key)

    def filled(struct: str) -> tuple[object, int]:
        values: dict[str, object] = {}
        count = 0
        for field in schema.structs[struct]:
            if field.name == "error_code":
                values[field.name], count = 42, count + 1
            elif field.element in schema.structs:
                inner, below = filled(field.element)
                values[field.name] = [inner, inner] if field.is_array else inner
                count += below * 2 if field.is_array else below
        return getattr(types, struct)(**values), count

    body, count = filled(schema.response)
    assert error_finder(key)(body) == [42] * count
