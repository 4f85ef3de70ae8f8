// SPDX-License-Identifier: Apache-2.0

package concentrator

// Capability is something that a concentrator can be asked; some can do more of it than others. It is also
// the name of the element that asks. XEP-0326 §3.1
type Capability string

// The capabilities that this package has words for.
const (
	GetCapabilities      Capability = "getCapabilities"
	GetAllDataSources    Capability = "getAllDataSources"
	GetRootDataSources   Capability = "getRootDataSources"
	GetChildDataSources  Capability = "getChildDataSources"
	Subscribe            Capability = "subscribe"
	Unsubscribe          Capability = "unsubscribe"
	ContainsNode         Capability = "containsNode"
	ContainsNodes        Capability = "containsNodes"
	GetNode              Capability = "getNode"
	GetNodes             Capability = "getNodes"
	GetAllNodes          Capability = "getAllNodes"
	GetNodeInheritance   Capability = "getNodeInheritance"
	GetRootNodes         Capability = "getRootNodes"
	GetChildNodes        Capability = "getChildNodes"
	GetAncestors         Capability = "getAncestors"
	GetNodeCommands      Capability = "getNodeCommands"
	GetCommandParameters Capability = "getCommandParameters"
	ExecuteNodeCommand   Capability = "executeNodeCommand"
)

// part is a set of what a request or an answer is made of.
type part uint32

const (
	ofSource  part = 1 << iota // of requests
	ofNode                     // one
	ofNodes                    // several
	ofDetails                  // whether parameters and messages are wanted
	ofDerived
	ofSort
	ofCommand
	ofSubmission // a form, if there is one
	ofSince
	ofWithout
	ofNames // of answers
	ofSources
	ofContains // one
	ofContainsAll
	ofInfo  // one, as attributes of the answer itself
	ofInfos // several
	ofClasses
	ofCommands
	ofParameters // a form
	ofErrors
)

// grammar is what a request and its answer are made of, and whether the IQ is of type set.
type grammar struct {
	asks, answers part
	set           bool
}

// capabilities is the grammar of all that can be asked.
var capabilities = map[Capability]grammar{
	GetCapabilities:      {0, ofNames, false},
	GetAllDataSources:    {0, ofSources, false},
	GetRootDataSources:   {0, ofSources, false},
	GetChildDataSources:  {ofSource, ofSources, false},
	Subscribe:            {ofSource | ofDetails | ofSince | ofWithout, 0, true},
	Unsubscribe:          {ofSource | ofWithout, 0, true},
	ContainsNode:         {ofNode, ofContains, false},
	ContainsNodes:        {ofNodes, ofContainsAll, false},
	GetNode:              {ofNode | ofDetails, ofInfo, false},
	GetNodes:             {ofNodes | ofDetails, ofInfos, false},
	GetAllNodes:          {ofSource | ofDetails | ofDerived, ofInfos, false},
	GetNodeInheritance:   {ofNode, ofClasses, false},
	GetRootNodes:         {ofSource | ofDetails, ofInfos, false},
	GetChildNodes:        {ofNode | ofDetails | ofSort, ofInfos, false},
	GetAncestors:         {ofNode | ofDetails, ofInfos, false},
	GetNodeCommands:      {ofNode, ofCommands, false},
	GetCommandParameters: {ofNode | ofCommand, ofParameters, false},
	ExecuteNodeCommand:   {ofNode | ofCommand | ofSubmission, ofErrors, true},
}

// Known reports whether this package has words for the capability.
func (c Capability) Known() bool { _, ok := capabilities[c]; return ok }

// Sets reports whether it changes something: then it is asked in an IQ of type set, else of type get.
func (c Capability) Sets() bool { return capabilities[c].set }
