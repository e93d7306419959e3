// JavaScript values to C++ and back, checked: the thin face's tools.
//
// A function of the face is `Value f(Call& call)`. It reads arguments with `call.integer(0, "name",
// min, max)` and the like, which throw TypeFault or Misuse; `wrap` turns what is thrown into a
// JavaScript error. So nothing thrown leaves the add-on, and no argument is used unchecked.
#pragma once

#define NAPI_VERSION 9
#include <node_api.h>

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "failure.h"
#include "partition-list.h"

namespace logpipe::face {

using Value = napi_value;

// The argument has another type: a TypeError.
class TypeFault : public std::invalid_argument {
 public:
  using std::invalid_argument::invalid_argument;
};

// N-API itself failed; a JavaScript exception is pending, or the thread is being stopped.
class Pending : public std::exception {};

constexpr double ID_MAX = 9007199254740991.0;
constexpr double OFFSET_MAX = 9007199254740991.0;

class Call {
 public:
  static constexpr size_t ARGUMENTS_MAX = 8;

  Call(napi_env env, napi_callback_info info);

  napi_env env() const { return env_; }
  void expect(size_t count) const;
  Value at(size_t index) const { return arguments_[index]; }

  // Readers: `what` names the value in the error.
  napi_valuetype typeOf(Value value) const;
  double number(Value value, const std::string& what, double min, double max) const;
  int32_t int32(Value value, const std::string& what, int32_t min, int32_t max) const;
  double id(size_t index, const std::string& what) const;
  bool boolean(Value value, const std::string& what) const;
  // Without a zero byte: librdkafka and the system end strings there.
  std::string text(Value value, const std::string& what) const;
  // Null for null.
  std::optional<std::string> textOrNull(Value value, const std::string& what) const;
  bool isNull(Value value) const { return typeOf(value) == napi_null; }
  bool isUndefined(Value value) const { return typeOf(value) == napi_undefined; }
  std::vector<Value> array(Value value, const std::string& what) const;
  Value object(Value value, const std::string& what) const;
  Value field(Value object, const char* name) const;
  std::string bytes(Value value, const std::string& what) const;
  struct Memory {
    void* data;
    size_t count;
  };
  Memory typedArray(Value value, const std::string& what, napi_typedarray_type type) const;
  Memory sharedMemory(Value value, const std::string& what) const;
  int32_t timeout(size_t index, int32_t maxMs) const;
  PartitionOffset partitionOffset(Value value, const std::string& what) const;
  std::vector<PartitionOffset> partitionOffsets(Value value, const std::string& what) const;

  // Makers.
  Value undefined() const;
  Value null() const;
  Value of(double value) const;
  Value of(bool value) const;
  Value of(const std::string& value) const;
  Value of(const char* value) const { return of(std::string(value)); }
  // Null for an empty one: how the core says "no error".
  Value ofName(const std::string& value) const { return value.empty() ? null() : of(value); }
  Value ofBytes(const std::string& value) const;
  Value ofResults(const std::vector<PartitionResult>& rows, bool withErrors) const;
  Value newObject() const;
  Value newArray(size_t length) const;
  void set(Value object, const char* name, Value value) const;
  void set(Value array, size_t index, Value value) const;

 private:
  void check(napi_status status) const;

  napi_env env_;
  Value arguments_[ARGUMENTS_MAX];
  size_t count_ = ARGUMENTS_MAX;
};

using Function = Value (*)(Call&);

struct Row {
  const char* name;
  Function function;
};

// Adds functions to the module's exports.
void define(napi_env env, Value exports, const Row* rows, size_t count);

// Each file of the face adds its functions.
void definePool(napi_env env, Value exports);
void defineFields(napi_env env, Value exports);
void defineConsumer(napi_env env, Value exports);
void defineOther(napi_env env, Value exports);

}  // namespace logpipe::face
