// What a call of the core may throw. The N-API face turns each into the JavaScript error named
// here.
#pragma once

#include <rdkafka.h>

#include <stdexcept>
#include <string>

namespace logpipe {

// librdkafka (or the system) refused: an Error with `code`.
class Refused : public std::runtime_error {
 public:
  Refused(std::string code, const std::string& message)
      : std::runtime_error(message), code_(std::move(code)) {}
  Refused(rd_kafka_resp_err_t error, const std::string& doing)
      : Refused(rd_kafka_err2name(error), doing + ": " + rd_kafka_err2str(error)) {}
  // Takes the error over.
  Refused(rd_kafka_error_t* error, const std::string& doing)
      : Refused(rd_kafka_error_name(error), doing + ": " + rd_kafka_error_string(error)) {
    rd_kafka_error_destroy(error);
  }
  const std::string& code() const { return code_; }

 private:
  std::string code_;
};

// The caller broke a rule: a RangeError. (A wrong type is found by the face: a TypeError.)
class Misuse : public std::out_of_range {
 public:
  using std::out_of_range::out_of_range;
};

}  // namespace logpipe
