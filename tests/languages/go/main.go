// A filter in Go, compiled by Go itself: GOOS=wasip1, -buildmode=c-shared.
package main

import (
	"fmt"
	"strings"
	"unsafe"
)

//go:wasmimport env proxy_log
func proxyLog(level uint32, data unsafe.Pointer, size uint32) uint32

//go:wasmimport env proxy_get_header_map_value
func proxyGetHeader(headers uint32, name unsafe.Pointer, nameSize uint32, toData, toSize unsafe.Pointer) uint32

//go:wasmimport env proxy_replace_header_map_value
func proxyReplaceHeader(headers uint32, name unsafe.Pointer, nameSize uint32, value unsafe.Pointer, valueSize uint32) uint32

// What the host has got from the allocator must not be collected before it is read.
var allocated = map[uint32][]byte{}

//go:wasmexport proxy_abi_version_0_2_1
func abiVersion() {}

//go:wasmexport proxy_on_memory_allocate
func allocate(size uint32) uint32 {
	bytes := make([]byte, size)
	address := uint32(uintptr(unsafe.Pointer(unsafe.SliceData(bytes))))
	allocated[address] = bytes
	return address
}

func log(text string) {
	proxyLog(2, unsafe.Pointer(unsafe.StringData(text)), uint32(len(text)))
}

func header(name string) string {
	var data, size uint32
	status := proxyGetHeader(0, unsafe.Pointer(unsafe.StringData(name)), uint32(len(name)),
		unsafe.Pointer(&data), unsafe.Pointer(&size))
	if status != 0 || size == 0 {
		return ""
	}
	value := string(allocated[data][:size])
	delete(allocated, data)
	return value
}

//go:wasmexport proxy_on_configure
func onConfigure(context, size uint32) uint32 {
	if size == 0 {
		panic("the configuration is empty")
	}
	return 1
}

//go:wasmexport proxy_on_request_headers
func onRequestHeaders(context, count, end uint32) uint32 {
	path := strings.ToUpper(header(":path"))
	log(fmt.Sprintf("go saw %s", path))
	name, value := "x-language", "go "+path
	proxyReplaceHeader(0, unsafe.Pointer(unsafe.StringData(name)), uint32(len(name)),
		unsafe.Pointer(unsafe.StringData(value)), uint32(len(value)))
	return 0
}

func main() {}
