// librdkafka's list of partitions, owned; and the plain structs that cross the face.
#pragma once

#include <rdkafka.h>

#include <cstdlib>
#include <cstring>
#include <new>
#include <string>
#include <vector>

#include "log-past.h"

namespace logpipe {

struct PartitionOffset {
  std::string topic;
  int32_t partition = -1;
  int64_t offset = RD_KAFKA_OFFSET_INVALID;
  int32_t leaderEpoch = -1;  // Of the offset (KIP-320); -1: unknown.
  std::string metadata;      // Of a committed offset; empty: none.
};

struct AssignedPartition : PartitionOffset {
  int32_t assignmentId = 0;
  int64_t stopOffset = INT64_MAX;  // Nothing from here on is delivered.
  LogPast past;
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
    for (const PartitionOffset& row : rows) add(row);
  }
  PartitionList(const PartitionList&) = delete;
  PartitionList& operator=(const PartitionList&) = delete;
  ~PartitionList() { rd_kafka_topic_partition_list_destroy(list_); }

  void add(const std::string& topic, int32_t partition, int64_t offset) {
    rd_kafka_topic_partition_list_add(list_, topic.c_str(), partition)->offset = offset;
  }
  void add(const PartitionOffset& row) {
    rd_kafka_topic_partition_t* to =
        rd_kafka_topic_partition_list_add(list_, row.topic.c_str(), row.partition);
    to->offset = row.offset;
    if (row.leaderEpoch >= 0) rd_kafka_topic_partition_set_leader_epoch(to, row.leaderEpoch);
    if (row.metadata.empty()) return;
    // The list frees it.
    to->metadata = std::malloc(row.metadata.size());
    if (to->metadata == nullptr) throw std::bad_alloc();
    std::memcpy(to->metadata, row.metadata.data(), row.metadata.size());
    to->metadata_size = row.metadata.size();
  }
  int count() const { return list_->cnt; }
  rd_kafka_topic_partition_list_t* get() const { return list_; }

  static std::vector<PartitionResult> rows(const rd_kafka_topic_partition_list_t* list) {
    std::vector<PartitionResult> rows;
    if (list == nullptr) return rows;
    rows.reserve(static_cast<size_t>(list->cnt));
    for (int index = 0; index < list->cnt; index++) rows.push_back(row(list->elems[index]));
    return rows;
  }
  static PartitionResult row(const rd_kafka_topic_partition_t& from) {
    PartitionResult row;
    row.topic = from.topic;
    row.partition = from.partition;
    row.offset = from.offset;
    row.leaderEpoch = rd_kafka_topic_partition_get_leader_epoch(&from);
    if (from.metadata != nullptr) {
      row.metadata.assign(static_cast<const char*>(from.metadata), from.metadata_size);
    }
    if (from.err) row.error = rd_kafka_err2name(from.err);
    return row;
  }
  std::vector<PartitionResult> rows() const { return rows(list_); }

 private:
  rd_kafka_topic_partition_list_t* list_;
};

}  // namespace logpipe
