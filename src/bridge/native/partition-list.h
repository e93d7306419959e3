// librdkafka's list of partitions, owned; and the plain structs that cross the face.
#pragma once

#include <rdkafka.h>

#include <string>
#include <vector>

namespace logpipe {

struct PartitionOffset {
  std::string topic;
  int32_t partition = -1;
  int64_t offset = RD_KAFKA_OFFSET_INVALID;
};

struct AssignedPartition : PartitionOffset {
  int32_t assignmentId = 0;
  int64_t stopOffset = INT64_MAX;  // Nothing from here on is delivered.
};

// `error`: librdkafka's name of it, or empty.
struct PartitionResult : PartitionOffset {
  std::string error;
};

class PartitionList {
 public:
  PartitionList() : list_(rd_kafka_topic_partition_list_new(16)) {}
  template <class Row>
  explicit PartitionList(const std::vector<Row>& rows) : PartitionList() {
    for (const PartitionOffset& row : rows) add(row.topic, row.partition, row.offset);
  }
  PartitionList(const PartitionList&) = delete;
  PartitionList& operator=(const PartitionList&) = delete;
  ~PartitionList() { rd_kafka_topic_partition_list_destroy(list_); }

  void add(const std::string& topic, int32_t partition, int64_t offset) {
    rd_kafka_topic_partition_list_add(list_, topic.c_str(), partition)->offset = offset;
  }
  int count() const { return list_->cnt; }
  rd_kafka_topic_partition_list_t* get() const { return list_; }

  static std::vector<PartitionResult> rows(const rd_kafka_topic_partition_list_t* list) {
    std::vector<PartitionResult> rows;
    if (list == nullptr) return rows;
    rows.reserve(static_cast<size_t>(list->cnt));
    for (int index = 0; index < list->cnt; index++) {
      const rd_kafka_topic_partition_t& from = list->elems[index];
      PartitionResult row;
      row.topic = from.topic;
      row.partition = from.partition;
      row.offset = from.offset;
      if (from.err) row.error = rd_kafka_err2name(from.err);
      rows.push_back(std::move(row));
    }
    return rows;
  }
  std::vector<PartitionResult> rows() const { return rows(list_); }

 private:
  rd_kafka_topic_partition_list_t* list_;
};

}  // namespace logpipe
