package plugin

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// A config is a struct. Tags: `json` names the key, `doc` describes it, `default` is its value (JSON, or a plain
// string) when it is left out, `optional:"true"` lets it be left out, `enum:"a,b"` bounds a string, `min` and `max`
// a number. All other keys are needed, and unknown ones are errors.

type setting struct {
	name     string
	index    int
	typ      reflect.Type
	tag      reflect.StructTag
	optional bool
}

func settings(of reflect.Type) []setting {
	var all []setting
	for i := range of.NumField() {
		field := of.Field(i)
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		if !field.IsExported() || name == "-" {
			continue
		}
		if name == "" {
			name = field.Name
		}
		_, fallback := field.Tag.Lookup("default")
		optional := fallback || field.Tag.Get("optional") == "true" || strings.Contains(options, "omitempty") ||
			field.Type.Kind() == reflect.Pointer
		all = append(all, setting{name, i, field.Type, field.Tag, optional})
	}
	return all
}

func (s setting) fallback() (json.RawMessage, bool) {
	fallback, ok := s.tag.Lookup("default")
	if ok && s.typ.Kind() == reflect.String {
		return json.RawMessage(strconv.Quote(fallback)), true
	}
	return json.RawMessage(fallback), ok
}

func parseConfig[C any](text string) (config C, err error) {
	if strings.TrimSpace(text) == "" {
		text = "{}"
	}
	if !json.Valid([]byte(text)) {
		return config, errors.New("config is not JSON")
	}
	err = decode(json.RawMessage(text), reflect.ValueOf(&config).Elem(), "config")
	return config, err
}

func decode(raw json.RawMessage, into reflect.Value, path string) error {
	switch into.Kind() {
	case reflect.Struct:
		return decodeObject(raw, into, path)
	case reflect.Pointer:
		if string(raw) == "null" {
			return nil
		}
		into.Set(reflect.New(into.Type().Elem()))
		return decode(raw, into.Elem(), path)
	case reflect.Slice:
		var elements []json.RawMessage
		if raw[0] != '[' || json.Unmarshal(raw, &elements) != nil {
			return fmt.Errorf("%s is %s, not an array", path, kindOf(raw))
		}
		into.Set(reflect.MakeSlice(into.Type(), len(elements), len(elements)))
		for i, element := range elements {
			if err := decode(element, into.Index(i), fmt.Sprintf("%s[%d]", path, i)); err != nil {
				return err
			}
		}
		return nil
	}
	wanted := map[string]string{"string": "a string", "boolean": "true or false", "integer": "a whole number", "number": "a number"}
	if err := json.Unmarshal(raw, into.Addr().Interface()); err != nil || string(raw) == "null" {
		return fmt.Errorf("%s is %s, not %s", path, kindOf(raw), wanted[typeName(into.Type())])
	}
	return nil
}

// kindOf says in words what a JSON value is.
func kindOf(raw json.RawMessage) string {
	switch raw[0] {
	case '{':
		return "an object"
	case '[':
		return "an array"
	case '"':
		return "a string"
	case 't', 'f', 'n':
		return string(raw)
	default:
		return "the number " + string(raw)
	}
}

func decodeObject(raw json.RawMessage, into reflect.Value, path string) error {
	var members map[string]json.RawMessage
	if raw[0] != '{' || json.Unmarshal(raw, &members) != nil {
		return fmt.Errorf("%s is %s, not an object", path, kindOf(raw))
	}
	all := settings(into.Type())
	known := make([]string, len(all))
	for i, setting := range all {
		known[i] = setting.name
	}
	for key := range members {
		if !contains(known, key) {
			return fmt.Errorf("%s has no key `%s`; %s", path, key, nearest(key, known))
		}
	}
	for _, setting := range all {
		value, ok := members[setting.name]
		if ok && setting.optional && string(value) == "null" {
			ok = false
		}
		if !ok {
			if !setting.optional {
				return fmt.Errorf("%s: missing field `%s`", path, setting.name)
			}
			if value, ok = setting.fallback(); !ok {
				continue
			}
		}
		place := path + "." + setting.name
		if err := decode(value, into.Field(setting.index), place); err != nil {
			return err
		}
		if err := setting.check(into.Field(setting.index), place); err != nil {
			return err
		}
	}
	return nil
}

func contains(known []string, key string) bool {
	for _, name := range known {
		if name == key {
			return true
		}
	}
	return false
}

func (s setting) check(value reflect.Value, path string) error {
	if choices := s.tag.Get("enum"); choices != "" && value.Kind() == reflect.String {
		known := strings.Split(choices, ",")
		if !contains(known, value.String()) {
			return fmt.Errorf("%s is `%s`, which it cannot be; %s", path, value, nearest(value.String(), known))
		}
	}
	var number float64
	switch {
	case value.CanInt():
		number = float64(value.Int())
	case value.CanUint():
		number = float64(value.Uint())
	case value.CanFloat():
		number = value.Float()
	default:
		return nil
	}
	if least, err := strconv.ParseFloat(s.tag.Get("min"), 64); err == nil && number < least {
		return fmt.Errorf("%s is %v; it has to be at least %v", path, value, s.tag.Get("min"))
	}
	if most, err := strconv.ParseFloat(s.tag.Get("max"), 64); err == nil && number > most {
		return fmt.Errorf("%s is %v; it has to be at most %v", path, value, s.tag.Get("max"))
	}
	return nil
}

func typeName(of reflect.Type) string {
	switch of.Kind() {
	case reflect.String:
		return "string"
	case reflect.Bool:
		return "boolean"
	case reflect.Float32, reflect.Float64:
		return "number"
	case reflect.Struct, reflect.Map:
		return "object"
	case reflect.Slice:
		return "array"
	case reflect.Pointer:
		return typeName(of.Elem())
	default:
		return "integer"
	}
}

// schemaOf is the JSON Schema of a type, closed: a key it does not know is an error.
func schemaOf(of reflect.Type) map[string]any {
	schema := map[string]any{"type": typeName(of)}
	switch of.Kind() {
	case reflect.Pointer:
		return schemaOf(of.Elem())
	case reflect.Slice:
		schema["items"] = schemaOf(of.Elem())
	case reflect.Struct:
		properties, required := map[string]any{}, []string{}
		for _, setting := range settings(of) {
			properties[setting.name] = setting.schema()
			if !setting.optional {
				required = append(required, setting.name)
			}
		}
		schema["properties"], schema["required"], schema["additionalProperties"] = properties, required, false
	}
	return schema
}

func (s setting) schema() map[string]any {
	schema := schemaOf(s.typ)
	if doc := s.tag.Get("doc"); doc != "" {
		schema["description"] = doc
	}
	if fallback, ok := s.fallback(); ok {
		schema["default"] = fallback
	}
	if choices := s.tag.Get("enum"); choices != "" {
		schema["enum"] = strings.Split(choices, ",")
	}
	for tag, word := range map[string]string{"min": "minimum", "max": "maximum"} {
		if bound := s.tag.Get(tag); bound != "" {
			schema[word] = json.RawMessage(bound)
		}
	}
	return schema
}

func configSchema[C any](summary string) string {
	schema := schemaOf(reflect.TypeFor[C]())
	schema["description"] = summary
	text, err := json.Marshal(schema)
	if err != nil {
		panic(err)
	}
	return string(text)
}
