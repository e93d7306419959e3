// The command lines of the native benchmarks: name=value words, and librdkafka's error handling.
#pragma once

#include <rdkafka.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

namespace logbench {

[[noreturn]] inline void fail(const std::string& what) {
  std::fprintf(stderr, "%s\n", what.c_str());
  std::exit(1);
}

inline uint64_t number(const char* text, const char* name) {
  char* end = nullptr;
  const uint64_t value = std::strtoull(text, &end, 10);
  if (end == text || *end != '\0') fail(std::string(name) + ": not a number: " + text);
  return value;
}

using Setting = std::pair<std::string, std::string>;

// The words from `first` on: name=value each.
inline std::vector<Setting> settings(int argc, char** argv, int first) {
  std::vector<Setting> found;
  for (int i = first; i < argc; i++) {
    const std::string word = argv[i];
    const size_t equals = word.find('=');
    if (equals == std::string::npos) fail("expected name=value, got " + word);
    found.emplace_back(word.substr(0, equals), word.substr(equals + 1));
  }
  return found;
}

inline void set(rd_kafka_conf_t* conf, const Setting& setting) {
  char error[512];
  if (rd_kafka_conf_set(conf, setting.first.c_str(), setting.second.c_str(), error,
                        sizeof error) != RD_KAFKA_CONF_OK) {
    fail(error);
  }
}

}  // namespace logbench
